"""Whose it is that something came in of: by a message of ours, by any of their addresses, by the order it is about; else
someone new."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select
from sqlmodel import Session, col

from passaparola.channel.message_ids import message_key
from passaparola.channel.receiver import InboundEvent
from passaparola.contacts import merging
from passaparola.contacts.addresses import address_key, normalise_address
from passaparola.contacts.audience.words import TRAITS, is_medium
from passaparola.contacts.imports.columns import parse_country, parse_language, parse_time_zone
from passaparola.settings import Settings
from passaparola.store.bulk import in_values
from passaparola.store.models import Address, Batch, Contact, Enrolment, Event, Launch, Message, RawBody, message_state

LATE_BOUNCE = timedelta(days=7)
PATIENCE = timedelta(days=30)  # for the order of a refund that came first
READ: dict[str, Callable[[str], str]] = {
    "country": parse_country,
    "language": parse_language,
    "time_zone": parse_time_zone,
}


@dataclass(frozen=True)
class OfOurs:
    """What the ledger knows of the message that something came back from."""

    enrolment: int
    step: int
    medium: str
    launch: int
    campaign: str
    topic: str
    key: str
    keyed_by: str


@dataclass(slots=True)
class Told:
    """One happening on its way to be kept."""

    row: RawBody
    said: InboundEvent
    addresses: dict[str, str]
    wrong: list[str] = field(default_factory=list)
    contact: int | None = None
    ours: OfOurs | None = None
    to: str = ""  # the keyed hash of the address it is about
    event_id: int = 0
    forgotten: bool = False

    def event(self, now: datetime) -> dict[str, Any]:
        said, ours = self.said, self.ours
        properties = dict(said.properties)
        if said.bot_reason:
            properties["machine"] = said.bot_reason
        if self.to:
            properties["to"] = self.to
        if ours:
            properties |= {"campaign": ours.campaign, "launch": ours.launch}
        return {
            "contact_id": self.contact, "kind": said.kind, "received_at": now, "source": self.row.source,
            # A sender's clock may run ahead; nothing has happened yet that is still to come.
            "at": min(said.at, now), "source_id": said.id[:250], "amount": said.amount, "currency": said.currency,
            "properties": properties, "machine": bool(said.bot_reason), "enrolment_id": ours.enrolment if ours else None,
            "step": ours.step if ours else None, "medium": said.medium or None,
        }  # fmt: skip


class Whose:
    def __init__(self, session: Session, settings: Settings, now: datetime) -> None:
        self.session, self.settings, self.now = session, settings, now
        self.forgot = False  # whether something came of someone who asked to be forgotten

    def told(self, row: RawBody, said: InboundEvent) -> Told:
        """With its addresses in our own form, and what was wrong with them."""
        one = Told(row, said, {})
        for medium, value in said.addresses.items():
            try:
                if not is_medium(medium):
                    raise ValueError(f"“{medium[:20]}” is not a medium")
                one.addresses[medium] = normalise_address(medium, value, said.traits.get("country") or "IT")
            except ValueError as error:
                one.wrong.append(str(error))
        if said.is_feedback and (medium := next(iter(one.addresses), "")):
            one.to = address_key(self.settings.secret, medium, one.addresses[medium])
        return one

    def find(self, told: list[Told]) -> None:
        owners = self._owners({pair for one in told for pair in one.addresses.items()})
        ours = self._ours({one.said.message for one in told if one.said.message})
        for one in told:
            one.ours, of_message = ours.get(one.said.message, (None, None))
            owned = {owners[pair] for pair in merging.identifying_addresses(one.addresses) if pair in owners}
            if one.said.is_feedback:
                self._of_feedback(one, owned, of_message)
            else:
                self._of_a_person(one, owned, of_message, owners)
        self._not_of_the_forgotten(told)
        for one in told:
            if one.contact is None and not one.forgotten and not one.said.is_feedback:
                self._of_its_order(one, told)

    def _of_feedback(self, one: Told, owned: set[int], of_message: int | None) -> None:
        """Of whom it is sent about, even if they have another address by now; it makes nobody's acquaintance."""
        if not one.said.unverified:
            one.contact = of_message or next(iter(owned), None)
            everything = one.said.properties.get("everything")
            if one.contact and one.ours is None and not everything and (name := self._latest_before(one)):
                one.ours = self._ours({name})[name][0]
            return
        if one.said.kind == "unsubscribed":  # who writes "stop" means themselves, whoever got the letter first
            one.contact = next(iter(owned), None)
            one.ours = one.ours if one.contact == of_message else None
            return
        if of_message is None or (one.addresses and of_message not in owned):
            return
        one.contact = of_message
        if not one.to:
            own = select(col(Address.key)).where(
                col(Address.contact_id) == of_message, col(Address.medium) == one.said.medium, col(Address.rank) == 0
            )
            one.to = self.session.execute(own).scalar() or ""

    def _of_a_person(
        self, one: Told, owned: set[int], of_message: int | None, owners: dict[tuple[str, str], int]
    ) -> None:
        one.contact = self._one_of(owned, one) or of_message
        for pair, owner in owners.items():
            if owner in owned and len(owned) > 1:
                owners[pair] = merging.resolve_contact(self.session, owner)
        known_by_thread = one.contact is not None and not owned
        if one.contact is None and one.addresses:
            one.contact = self._someone_new()
        if one.contact is not None and not known_by_thread:
            # Who answers from another address is still who was written to, but a forwarded letter makes no alias.
            self._reach(one, owners)
            self._share(one, owners)
            self._know(one)
        if of_message != one.contact:
            one.ours = None

    def _not_of_the_forgotten(self, told: list[Told]) -> None:
        """What still comes back of someone who asked to be forgotten is not kept, nor the body that tells it."""
        people = {one.contact for one in told if one.contact is not None}
        erased = select(col(Contact.id)).where(
            in_values(self.session, col(Contact.id), people), col(Contact.erased_at).is_not(None)
        )
        gone = set(self.session.execute(erased).scalars()) if people else set()
        for one in told:
            if one.contact in gone:
                one.contact, one.forgotten, one.row.body, one.row.headers = None, True, b"", {}
                self.forgot = True

    def _one_of(self, owned: set[int], one: Told) -> int | None:
        """Two people in one happening: the same person where a shop's own number says so, else perhaps."""
        if len(owned) < 2:
            return next(iter(owned), None)
        return merging.decide_between(self.session, self.settings, owned, one.addresses, one.row.source, self.now)

    def _owners(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        by_medium: dict[str, list[str]] = {}
        for medium, value in pairs:
            by_medium.setdefault(medium, []).append(value)
        for medium, values in by_medium.items():
            owned = select(col(Address.value), col(Address.contact_id)).where(
                col(Address.medium) == medium, in_values(self.session, col(Address.value), values)
            )
            found |= {(medium, value): contact for value, contact in self.session.execute(owned)}
        return found

    def _ours(self, messages: set[str]) -> dict[str, tuple[OfOurs, int | None]]:
        keys = {name: key for name in messages if (key := message_key(name))}
        if not keys:
            return {}
        columns = (col(Enrolment.id), col(Enrolment.contact_id), col(Enrolment.key), col(Enrolment.launch_id))
        ids = {key[0] for key in keys.values()}
        rows = self.session.execute(select(*columns).where(in_values(self.session, col(Enrolment.id), ids)))
        enrolments = {row[0]: row for row in rows}
        said = self._said({row[3] for row in enrolments.values()})
        now = merging.resolve_contacts(self.session, {row[1] for row in enrolments.values() if row[1]})
        found = {}
        for name, (enrolment, step, medium) in keys.items():
            if row := enrolments.get(enrolment):
                _, contact, key, launch = row
                campaign, topic, keyed_by = said[launch]
                ours = OfOurs(enrolment, step, medium, launch, campaign, topic, key, keyed_by)
                found[name] = (ours, now[contact] if contact else None)
        return found

    def _said(self, launches: set[int]) -> dict[int, tuple[str, str, str]]:
        """What each launch is called, is about and is keyed by; its content is large, so it is not read once a message."""
        content = col(Launch.content)
        chosen = select(
            col(Launch.id), col(Launch.campaign), content["topic"].as_string(), content["enter"]["key"].as_string()
        )
        rows = self.session.execute(chosen.where(col(Launch.id).in_(launches)))
        return {launch: (campaign, topic or "", keyed_by or "") for launch, campaign, topic, keyed_by in rows}

    def _latest_before(self, one: Told) -> str:
        """A bounce that comes late has lost the name of its message: the last letter to that address, within a week."""
        return _last_sent(self.session, one.contact or 0, one.said.medium, one.said.at)

    def _someone_new(self) -> int:
        person = Contact(created_at=self.now, updated_at=self.now, traits={})
        self.session.add(person)
        self.session.flush()
        assert person.id is not None
        return person.id

    def _reach(self, one: Told, owners: dict[tuple[str, str], int]) -> None:
        """An address that is somebody else's already stays theirs."""
        for medium, value in one.addresses.items():
            if (medium, value) in owners:
                continue
            assert one.contact is not None
            taken = select(col(Address.value)).where(
                col(Address.contact_id) == one.contact, col(Address.medium) == medium
            )
            rank = len(self.session.execute(taken).all())
            key = address_key(self.settings.secret, medium, value)
            self.session.add(Address(medium=medium, value=value, contact_id=one.contact, rank=rank, key=key))
            self.session.flush()
            owners[medium, value] = one.contact

    def _share(self, one: Told, owners: dict[tuple[str, str], int]) -> None:
        """A telephone that is somebody else's too may be a household's: whether they are one person, somebody decides."""
        assert one.contact is not None
        for pair in one.addresses.items():
            other = merging.resolve_contact(self.session, owners[pair])
            if other != one.contact and pair not in merging.identifying_addresses(one.addresses):
                merging.propose_shared_address(self.session, one.contact, other, pair[0], one.row.source, self.now)

    def _know(self, one: Told) -> None:
        """A shop fills in what we do not know of a person; it does not overwrite what they told us."""
        person = self.session.get(Contact, one.contact)
        assert person is not None
        for name, value in one.said.traits.items():
            if name in TRAITS and getattr(person, name) is None and person.erased_at is None:
                try:
                    setattr(person, name, READ[name](value) if name in READ else value)
                    by = {"by": one.row.source, "at": one.said.at.isoformat()}
                    person.updated_at, person.sources = self.now, {**person.sources, name: by}
                except ValueError:
                    continue  # a country nobody knows is no reason to lose an order

    def _of_its_order(self, one: Told, told: list[Told]) -> None:
        source = one.row.source
        here = (o.contact for o in told if o.row.source == source and o.said.id == one.said.related_event and o.contact)
        one.contact = next(here, None)
        if one.contact is None:
            known = select(col(Event.contact_id)).where(
                col(Event.source) == source,
                or_(
                    col(Event.source_id) == one.said.related_event,
                    col(Event.source_id) == one.said.related_event.partition(":")[2],
                ),
            )
            one.contact = self.session.execute(known).scalar()
        if one.contact is None:
            late = one.row.received_at + PATIENCE < self.now
            one.row.state, one.row.problem = "invalid" if late else "waiting", f"waits for {one.said.related_event}"


def _last_sent(session: Session, contact: int, medium: str, before: datetime) -> str:
    """The last message that went out to a contact before a moment, within a week; its name, or empty."""
    sent = (
        select(col(Message.enrolment_id), col(Message.step), col(Message.medium))
        .join(Enrolment, col(Enrolment.id) == col(Message.enrolment_id))
        .join(Batch, col(Batch.id) == col(Message.batch_id))
        .where(
            col(Enrolment.contact_id) == contact, col(Message.medium) == medium, message_state() == "sent",
            func.coalesce(col(Batch.finished_at), col(Batch.claimed_at)) <= before,
            func.coalesce(col(Batch.finished_at), col(Batch.claimed_at)) >= before - LATE_BOUNCE,
        )
        .order_by(func.coalesce(col(Batch.finished_at), col(Batch.claimed_at)).desc(), col(Message.enrolment_id).desc())
    )  # fmt: skip
    found = session.execute(sent.limit(1)).first()
    return "-".join(map(str, found)) if found else ""
