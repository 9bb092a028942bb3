"""Clicks, opens, shares and taps: stored on arrival, one insert for all that come at once, and applied in bulk
afterwards.

The endpoint verifies the signed token and finds the frozen link in memory; whose it was, and whether a person did it,
is decided here, for all of them together.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import delete, select, text
from sqlmodel import Session, col

from passaparola.channel.message_ids import MessageId
from passaparola.contacts import activity, merging
from passaparola.contacts.audience.compile import latest_consent
from passaparola.contacts.events import NewEvent, record_events
from passaparola.inbound import machines
from passaparola.settings import Settings
from passaparola.store.bulk import execute_update, in_values, insert_many
from passaparola.store.database import Store
from passaparola.store.models import Contact, Enrolment, Launch, LinkEvent

BATCH_ROWS = 2_000
APPLY_LOCK_ID = 20261128
NEEDS_TRACKING = ("shared", "friend_visited")  # kept only of who allows that we know what they pass on


@dataclass(frozen=True, slots=True)
class NewLinkEvent:
    """A followed link. `which` names the link in the message; `bot_reason` is empty where it may be a person's."""

    kind: str
    source: str
    enrolment_id: int
    step: int
    medium: str
    which: str
    at: datetime
    bot_reason: str = ""
    properties: dict[str, Any] = field(default_factory=dict)


COLUMNS = tuple(column.name for column in fields(NewLinkEvent))
_values = attrgetter(*COLUMNS)


def new_link_event(
    message: MessageId, kind: str, source: str, which: str, at: datetime, bot_reason: str, **properties: object
) -> NewLinkEvent:
    """Build the link event of a message."""
    return NewLinkEvent(
        kind, source, message.enrolment, message.step, message.medium, which, at, bot_reason, properties
    )


def store_link_events(session: Session, events: Sequence[NewLinkEvent]) -> list[None]:
    """Store link events as they came, with one insert."""
    insert_many(session, LinkEvent, [dict(zip(COLUMNS, _values(event), strict=True)) for event in events])
    return [None] * len(events)


def apply_link_events(store: Store, settings: Settings, clock: Callable[[], datetime]) -> Counter[str]:
    """Turn all stored link events into events. Return the kinds of new ones, and how often."""
    kinds: Counter[str] = Counter()
    while (new := _apply_batch(store, settings, clock())) is not None:
        kinds += new
    return kinds


def _apply_batch(store: Store, settings: Settings, now: datetime) -> Counter[str] | None:
    with store.read() as session:
        if session.execute(select(col(LinkEvent.id)).limit(1)).scalar() is None:
            return None
    with store.write() as session:
        if not store.on_sqlite:  # touches of one burst must see each other
            session.execute(text(f"SELECT pg_advisory_xact_lock({APPLY_LOCK_ID})"))
        rows = list(session.execute(select(LinkEvent).order_by(col(LinkEvent.id)).limit(BATCH_ROWS)).scalars())
        if not rows:
            return None
        events = _to_events(session, rows, now)
        activity.lock_contacts(session, {event.contact_id for event in events})
        new = record_events(session, events)
        recount = machines.judge_touches(session, {event.enrolment_id for event in new if event.enrolment_id})
        activity.add_events(session, settings.currency, new, recount)
        applied = delete(LinkEvent).where(in_values(session, col(LinkEvent.id), [row.id for row in rows]))
        execute_update(session, applied)
        session.expunge_all()
    return Counter(event.kind for event in new)


@dataclass(frozen=True)
class _Passage:
    """The enrolment's contact by now, and what an event says of its launch."""

    contact: int
    properties: dict[str, Any]


def _to_events(session: Session, rows: Sequence[LinkEvent], now: datetime) -> list[NewEvent]:
    """Build the events of link events whose contact is still known and, where needed, allows tracking."""
    passages = _load_passages(session, {row.enrolment_id for row in rows})
    tracked = _load_tracked(session, rows, passages)
    return [
        _to_event(row, passage, now)
        for row in rows
        if (passage := passages.get(row.enrolment_id))
        and (row.kind not in NEEDS_TRACKING or (passage.contact, row.medium) in tracked)
    ]


def _to_event(row: LinkEvent, passage: _Passage, now: datetime) -> NewEvent:
    bot = {"machine": row.bot_reason} if row.bot_reason else {}
    message = MessageId(row.enrolment_id, row.step, row.medium)
    name = f"{message}/{row.which}/{row.at:%Y%m%d%H%M}{'/machine' if bot else ''}"
    return NewEvent(
        passage.contact,
        row.kind,
        min(row.at, now),
        now,
        row.source,
        name,
        enrolment_id=row.enrolment_id,
        step=row.step,
        medium=row.medium,
        properties={**passage.properties, **row.properties, **bot},
        machine=bool(bot),
    )


def _load_passages(session: Session, enrolments: Collection[int]) -> dict[int, _Passage]:
    """Return the passages by enrolment; those of the public or of someone forgotten are not among them."""
    key = col(Launch.content)["enter"]["key"].as_string()
    chosen = (
        select(
            col(Enrolment.id), col(Enrolment.contact_id), col(Enrolment.key), col(Launch.campaign), col(Launch.id), key
        )
        .join(Launch, col(Launch.id) == col(Enrolment.launch_id))
        .where(in_values(session, col(Enrolment.id), enrolments), col(Enrolment.contact_id).is_not(None))
    )
    rows = session.execute(chosen).all()
    contacts = merging.resolve_contacts(session, {row[1] for row in rows})
    alive = select(col(Contact.id)).where(
        in_values(session, col(Contact.id), set(contacts.values())), col(Contact.erased_at).is_(None)
    )
    known = set(session.execute(alive).scalars())
    return {
        id_: _Passage(contacts[contact], {"campaign": campaign, "launch": launch, **({key: value} if key else {})})
        for id_, contact, value, campaign, launch, key in rows
        if contacts[contact] in known
    }


def _load_tracked(session: Session, rows: Sequence[LinkEvent], passages: dict[int, _Passage]) -> set[tuple[int, str]]:
    """Return the (contact, medium) pairs that allow tracking."""
    contacts_by_medium: dict[str, set[int]] = {}
    for row in rows:
        if row.kind in NEEDS_TRACKING and row.enrolment_id in passages:
            contacts_by_medium.setdefault(row.medium, set()).add(passages[row.enrolment_id].contact)
    tracked: set[tuple[int, str]] = set()
    for medium, contacts in contacts_by_medium.items():
        allowed = select(col(Contact.id), latest_consent(col(Contact.id), medium, "tracking")).where(
            in_values(session, col(Contact.id), contacts)
        )
        tracked |= {(contact, medium) for contact, granted in session.execute(allowed) if granted}
    return tracked
