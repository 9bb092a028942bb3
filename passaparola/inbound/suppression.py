"""What feedback does to the address and to consent: hard bounces, complaints and opt-outs at once, soft bounces in a
row.

A message's state is the union of such facts, so their order cannot matter. What is derived, a row of soft bounces, is
derived anew from all the facts there are.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlmodel import Session, col

from passaparola.channel.receiver import InboundEvent
from passaparola.contacts import consent
from passaparola.inbound.record import RecordedEvent
from passaparola.store.bulk import execute_update, in_values
from passaparola.store.database import audit
from passaparola.store.models import Event, Suppression
from passaparola.store.types import unindexed

SOFT_IN_A_ROW = 5  # messages that bounced softly with nothing delivered in between: nobody lives there
SOFT = f"{SOFT_IN_A_ROW} messages in a row could not be delivered"
BEFORE_US = "said stop before we knew them"


def apply_feedback(session: Session, feedback: Sequence[RecordedEvent], now: datetime) -> None:
    """Suppress and opt out by new feedback, in the transaction that records it."""
    for recorded in feedback:
        _apply(session, recorded)
    session.flush()
    if contacts := _soft_bounce_candidates(session, feedback):
        _suppress_soft_bouncing(session, contacts, now)


def suppression_reason(event: InboundEvent) -> str:
    """Return why an event ends all writing to its address; empty where it does not."""
    if event.kind == "complained":
        return "complaint"
    if event.kind == "bounced" and event.properties.get("bounce") == "hard":
        return "hard bounce"
    return str(event.properties.get("because") or "")


def _apply(session: Session, recorded: RecordedEvent) -> None:
    event, row, resolution = recorded.identified.incoming.event, recorded.row, recorded.identified.resolution
    medium, reason = event.medium or "email", suppression_reason(event)
    if event.kind == "unsubscribed" or reason in ("complaint", "unsubscribed"):
        # A complaint is an opt-out of everything; an opt-out is of what the message was about.
        topic = resolution.message.topic if resolution.message and reason != "complaint" else ""
        proof = {"event": row.id, "from": row.source, "told": event.kind}
        consent.record_dated(
            session, row.contact_id, medium, topic or "*", False, at=row.at, source=row.source, proof=proof
        )
    if reason and reason != "unsubscribed" and resolution.address_key:
        consent.suppress(session, medium, resolution.address_key, reason, at=row.at, source=row.source)


def _soft_bounce_candidates(session: Session, feedback: Sequence[RecordedEvent]) -> set[int]:
    """Return the contacts whom another bounce may suppress, or a delivery may let be written to again."""
    bounced = {recorded.row.contact_id for recorded in feedback if recorded.row.kind == "bounced"}
    arrived = {
        key: recorded.row.contact_id
        for recorded in feedback
        if recorded.row.kind == "delivered" and (key := recorded.identified.resolution.address_key)
    }
    if not arrived:
        return bounced
    silenced = select(col(Suppression.key)).where(
        in_values(session, col(Suppression.key), arrived), col(Suppression.reason) == SOFT
    )
    return bounced | {arrived[key] for key in session.execute(silenced).scalars()}


def _suppress_soft_bouncing(session: Session, contacts: Iterable[int], now: datetime) -> None:
    """Suppress an address that bounced so many times in a row, and lift it when something was delivered after all."""
    facts = select(
        col(Event.contact_id),
        col(Event.kind),
        col(Event.at),
        col(Event.enrolment_id),
        col(Event.step),
        col(Event.id),
        col(Event.properties),
        col(Event.medium),
    ).where(
        in_values(session, col(Event.contact_id), set(contacts)),
        unindexed(col(Event.kind)).in_(["bounced", "delivered"]),
    )
    by_address: dict[tuple[int, str, str], list[Any]] = {}
    for row in session.execute(facts.order_by(col(Event.at), col(Event.id))):
        if key := row.properties.get("to"):
            by_address.setdefault((row.contact_id, key, row.medium or "email"), []).append(row)
    for (contact, key, medium), rows in by_address.items():
        bounces = _soft_bounces_since_delivery(rows)
        existing = session.get(Suppression, key)
        if len(bounces) >= SOFT_IN_A_ROW:
            at = sorted(bounces)[SOFT_IN_A_ROW - 1]
            consent.suppress(session, medium, key, SOFT, at=at, source=consent.DERIVED)
            if existing is not None and existing.reason == SOFT:
                existing.at = at
        elif existing is not None and existing.reason == SOFT and existing.medium == medium:
            execute_update(session, delete(Suppression).where(col(Suppression.key) == key))
            session.expunge(existing)
            audit(session, now, consent.DERIVED, "no longer suppressed", f"contact:{contact}", medium=medium)


def _soft_bounces_since_delivery(rows: Sequence[Any]) -> list[datetime]:
    """Return when each message bounced first, of those that bounced softly after the last delivery."""
    arrived = max((row.at for row in rows if row.kind == "delivered"), default=None)
    bounced: dict[Any, datetime] = {}
    for row in rows:
        soft = row.kind == "bounced" and row.properties.get("bounce") == "soft"
        if soft and row.properties.get("counts", True) and (arrived is None or row.at > arrived):
            bounced.setdefault((row.enrolment_id, row.step) if row.enrolment_id else row.id, row.at)
    return list(bounced.values())
