"""Stage 4: resolve which contact an incoming event belongs to, by our message, an address or an order; else create
one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import or_, select
from sqlmodel import Session, col

from passaparola.contacts import matching, merging
from passaparola.contacts.addresses import address_key
from passaparola.inbound.messages import MessageRef, last_sent, load_messages
from passaparola.inbound.parse import IncomingEvent
from passaparola.settings import Settings
from passaparola.store.bulk import in_values
from passaparola.store.models import Address, Contact, Event

ORDER_WAIT = timedelta(days=30)  # for the order of a refund that came first

Owners = dict[tuple[str, str], int]


@dataclass(frozen=True)
class Resolution:
    """The contact that an event belongs to, and the message of ours that it came back from.

    `introduced`: the event names its contact by an address, so it may tell us more of them. Of an event without a
    contact `status` says why: nobody is known by it (`stranger`), they asked to be forgotten, or its order has not
    come (`waiting`).
    """

    contact: int | None
    message: MessageRef | None = None
    address_key: str = ""
    introduced: bool = False
    status: Literal["known", "stranger", "forgotten", "waiting"] = "known"


STRANGER = Resolution(None, status="stranger")


def identify_events(
    session: Session, settings: Settings, events: Sequence[IncomingEvent], now: datetime
) -> list[Resolution]:
    """Resolve every event, in their order. New contacts and their addresses are created on the way."""
    return _Identifying(session, settings, events, now).resolve_all()


class _Identifying:
    """Resolves the events of one transaction: a contact whom the first one creates is known to the next."""

    def __init__(self, session: Session, settings: Settings, events: Sequence[IncomingEvent], now: datetime) -> None:
        self.session, self.settings, self.events, self.now = session, settings, events, now
        self.owners = self._load_owners({pair for incoming in events for pair in incoming.addresses.items()})
        self.messages = load_messages(session, {wanted.event.message for wanted in events if wanted.event.message})

    def resolve_all(self) -> list[Resolution]:
        resolved = [self._resolve(incoming) for incoming in self.events]
        resolved = self._without_forgotten(resolved)
        for place, incoming in enumerate(self.events):
            if resolved[place].status == "stranger" and not incoming.event.is_feedback:
                resolved[place] = self._resolve_by_order(incoming, resolved)
        return resolved

    def _resolve(self, incoming: IncomingEvent) -> Resolution:
        message = self.messages.get(incoming.event.message)
        identifying = matching.identifying_addresses(incoming.addresses)
        owned = {self.owners[pair] for pair in identifying if pair in self.owners}
        if not incoming.event.is_feedback:
            return self._resolve_person(incoming, owned, message)
        if incoming.event.unverified:
            return self._resolve_unverified(incoming, owned, message)
        return self._resolve_feedback(incoming, owned, message)

    def _resolve_feedback(self, incoming: IncomingEvent, owned: set[int], message: MessageRef | None) -> Resolution:
        """Resolve feedback to the contact that the message was sent to, even if they have another address by now.
        It creates nobody."""
        event = incoming.event
        contact = (message.contact if message else None) or next(iter(owned), None)
        if contact and message is None and not event.properties.get("everything"):
            name = last_sent(self.session, contact, event.medium, event.at)
            message = load_messages(self.session, {name}).get(name) if name else None
        return self._known(contact, message, incoming.address_key)

    def _resolve_unverified(self, incoming: IncomingEvent, owned: set[int], message: MessageRef | None) -> Resolution:
        """Resolve an unverified event: an opt-out by its address, anything else only to the message's own contact."""
        if incoming.event.kind == "unsubscribed":  # who writes "stop" means themselves, whoever got the email first
            contact = next(iter(owned), None)
            own_message = message if message and contact == message.contact else None
            return self._known(contact, own_message, incoming.address_key)
        if message is None or message.contact is None or (incoming.addresses and message.contact not in owned):
            return replace(STRANGER, message=message, address_key=incoming.address_key)
        key = incoming.address_key or self._first_address_key(message.contact, incoming.event.medium)
        return Resolution(message.contact, message, key)

    def _resolve_person(self, incoming: IncomingEvent, owned: set[int], message: MessageRef | None) -> Resolution:
        """Resolve what a person did: by an address, else by the message that they answer, else they are a new
        contact."""
        contact = self._one_of(owned, incoming) or (message.contact if message else None)
        if len(owned) > 1:
            for pair, owner in self.owners.items():
                if owner in owned:
                    self.owners[pair] = merging.resolve_contact(self.session, owner)
        by_thread = contact is not None and not owned
        if contact is None and incoming.addresses:
            contact = self._create_contact()
        introduced = contact is not None and not by_thread
        if contact is not None and introduced:
            # Who answers from another address is still who was written to, but a forwarded email makes no alias.
            self._add_addresses(contact, incoming.addresses)
            self._propose_shared(contact, incoming)
        own_message = message if message and message.contact == contact else None
        return replace(self._known(contact, own_message, incoming.address_key), introduced=introduced)

    def _known(self, contact: int | None, message: MessageRef | None, key: str) -> Resolution:
        return Resolution(contact, message, key, status="known" if contact is not None else "stranger")

    def _one_of(self, owned: set[int], incoming: IncomingEvent) -> int | None:
        """Decide between the contacts whom one event's addresses belong to; a shop's own customer number makes them
        one."""
        if len(owned) < 2:
            return next(iter(owned), None)
        return matching.decide_between(
            self.session, self.settings, owned, incoming.addresses, incoming.source, self.now
        )

    def _without_forgotten(self, resolved: list[Resolution]) -> list[Resolution]:
        """Replace resolutions to contacts who asked to be forgotten: what still comes back of them belongs to
        nobody."""
        contacts = {resolution.contact for resolution in resolved if resolution.contact is not None}
        if not contacts:
            return resolved
        erased = select(col(Contact.id)).where(
            in_values(self.session, col(Contact.id), contacts), col(Contact.erased_at).is_not(None)
        )
        gone = set(self.session.execute(erased).scalars())
        return [
            Resolution(None, status="forgotten") if resolution.contact in gone else resolution
            for resolution in resolved
        ]

    def _resolve_by_order(self, incoming: IncomingEvent, resolved: Sequence[Resolution]) -> Resolution:
        """Resolve an event without an address by the order of its source that it refers to."""
        source, related = incoming.source, incoming.event.related_event
        for other, resolution in zip(self.events, resolved, strict=True):
            if other.source == source and other.event.id == related and resolution.contact is not None:
                return Resolution(resolution.contact)
        known = select(col(Event.contact_id)).where(
            col(Event.source) == source,
            or_(col(Event.source_id) == related, col(Event.source_id) == related.partition(":")[2]),
        )
        contact = self.session.execute(known).scalar()
        return Resolution(contact) if contact is not None else Resolution(None, status="waiting")

    def _create_contact(self) -> int:
        contact = Contact(created_at=self.now, updated_at=self.now, traits={})
        self.session.add(contact)
        self.session.flush()
        assert contact.id is not None
        return contact.id

    def _add_addresses(self, contact: int, addresses: Mapping[str, str]) -> None:
        """Add the addresses that are nobody's yet; one that is somebody else's stays theirs."""
        for medium, value in addresses.items():
            if (medium, value) in self.owners:
                continue
            taken = select(col(Address.value)).where(col(Address.contact_id) == contact, col(Address.medium) == medium)
            rank = len(self.session.execute(taken).all())
            key = address_key(self.settings.secret, medium, value)
            self.session.add(Address(medium=medium, value=value, contact_id=contact, rank=rank, key=key))
            self.session.flush()
            self.owners[medium, value] = contact

    def _propose_shared(self, contact: int, incoming: IncomingEvent) -> None:
        """Propose merges of contacts who share a telephone, which may be a household's: somebody decides."""
        identifying = matching.identifying_addresses(incoming.addresses)
        for pair in incoming.addresses.items():
            other = merging.resolve_contact(self.session, self.owners[pair])
            if other != contact and pair not in identifying:
                matching.propose_shared_address(self.session, contact, other, pair[0], incoming.source, self.now)

    def _first_address_key(self, contact: int, medium: str) -> str:
        query = select(col(Address.key)).where(
            col(Address.contact_id) == contact, col(Address.medium) == medium, col(Address.rank) == 0
        )
        return self.session.execute(query).scalar() or ""

    def _load_owners(self, pairs: Iterable[tuple[str, str]]) -> Owners:
        owners: Owners = {}
        by_medium: dict[str, list[str]] = {}
        for medium, value in pairs:
            by_medium.setdefault(medium, []).append(value)
        for medium, values in by_medium.items():
            owned = select(col(Address.value), col(Address.contact_id)).where(
                col(Address.medium) == medium, in_values(self.session, col(Address.value), values)
            )
            owners |= {(medium, value): contact for value, contact in self.session.execute(owned)}
        return owners
