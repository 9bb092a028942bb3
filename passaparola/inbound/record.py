"""Stage 5: record identified events, each once, with what they tell of their contacts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from passaparola.contacts.audience.words import TRAITS
from passaparola.contacts.events import NewEvent, record_events
from passaparola.contacts.imports.columns import parse_country, parse_language, parse_time_zone
from passaparola.inbound.identify import Resolution
from passaparola.inbound.parse import IncomingEvent
from passaparola.store.models import Contact

TRAIT_PARSERS: dict[str, Callable[[str], str]] = {
    "country": parse_country,
    "language": parse_language,
    "time_zone": parse_time_zone,
}
MAX_SOURCE_ID_CHARS = 250


@dataclass(frozen=True, slots=True)
class IdentifiedEvent:
    """An incoming event with its resolution."""

    incoming: IncomingEvent
    resolution: Resolution

    @property
    def contact(self) -> int:
        assert self.resolution.contact is not None
        return self.resolution.contact


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event that was not known before, as it was recorded."""

    identified: IdentifiedEvent
    row: NewEvent


def record(session: Session, events: Iterable[IdentifiedEvent], now: datetime) -> list[RecordedEvent]:
    """Record events and fill in what we did not know of their contacts. Return those that are new."""
    by_name: dict[tuple[str, str], RecordedEvent] = {}
    for identified in events:
        _fill_traits(session, identified, now)
        row = _new_event(identified, now)
        by_name.setdefault((row.source, row.source_id), RecordedEvent(identified, row))
    new = record_events(session, (recorded.row for recorded in by_name.values()))
    return [by_name[row.source, row.source_id] for row in new]


def _new_event(identified: IdentifiedEvent, now: datetime) -> NewEvent:
    event, resolution = identified.incoming.event, identified.resolution
    properties = dict(event.properties)
    if event.bot_reason:
        properties["machine"] = event.bot_reason
    if resolution.address_key:
        properties["to"] = resolution.address_key
    message = resolution.message
    if message:
        properties |= {"campaign": message.campaign, "launch": message.launch}
    return NewEvent(
        identified.contact,
        event.kind,
        # A sender's clock may run ahead; nothing has happened yet that is still to come.
        at=min(event.at, now),
        received_at=now,
        source=identified.incoming.source,
        source_id=event.id[:MAX_SOURCE_ID_CHARS],
        amount=event.amount,
        currency=event.currency,
        properties=properties,
        medium=event.medium or None,
        enrolment_id=message.id.enrolment if message else None,
        step=message.id.step if message else None,
        machine=bool(event.bot_reason),
    )


def _fill_traits(session: Session, identified: IdentifiedEvent, now: datetime) -> None:
    """Fill in traits that we do not know; a shop does not overwrite what a contact told us."""
    traits = identified.incoming.event.traits
    if not (traits and identified.resolution.introduced):
        return
    contact = session.get(Contact, identified.contact)
    assert contact is not None
    for name, value in traits.items():
        if name in TRAITS and getattr(contact, name) is None and contact.erased_at is None:
            try:
                setattr(contact, name, TRAIT_PARSERS[name](value) if name in TRAIT_PARSERS else value)
            except ValueError:
                continue  # a country nobody knows is no reason to lose an order
            by = {"by": identified.incoming.source, "at": identified.incoming.event.at.isoformat()}
            contact.updated_at, contact.sources = now, {**contact.sources, name: by}
