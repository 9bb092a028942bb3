"""What comes back of our messages, and what it does: to the address, to consent, and to what counts as a person.

A message's state is the union of such facts, so their order cannot matter. What is derived (a row of soft bounces, a
machine among the clicks) is derived anew from all the facts there are.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlmodel import Session, col

from passaparola.contacts import consent
from passaparola.inbound.identify import Told
from passaparola.settings import Settings
from passaparola.store.bulk import in_values
from passaparola.store.database import audit
from passaparola.store.models import Batch, Event, Message, Suppression
from passaparola.store.types import unindexed

SOFT_IN_A_ROW = 5  # messages that bounced softly with nothing delivered in between: nobody lives there
SOFT = f"{SOFT_IN_A_ROW} messages in a row could not be delivered"
BEFORE_US = "said stop before we knew them"
AT_ONCE = timedelta(seconds=2)  # nobody opens a letter and finds the link in this
COARSE = timedelta(seconds=1)  # providers tell times in whole seconds
BURST, BURST_LINKS = timedelta(seconds=10), 3  # a scanner follows every link; a person does not
QUIETLY: dict[str, Any] = {"synchronize_session": False}


def act(session: Session, settings: Settings, new: Sequence[Told], now: datetime) -> set[int]:
    """Everything that new facts do, in the transaction that keeps them. Returns of whom earlier facts are judged anew."""
    facts = [one for one in new if one.said.is_feedback]
    for one in facts:
        _to_address_and_consent(session, one, now)
    session.flush()
    if softly := _perhaps_in_a_row(session, facts):
        _in_a_row(session, softly, now)
    touched = {one.ours.enrolment for one in facts if one.ours and one.said.kind in ("opened", "clicked")}
    return mark_machines(session, touched) if touched else set()


def of_strangers(session: Session, told: Sequence[Told], now: datetime) -> None:
    """Nobody here is known by the number that said stop; should a file bring them in later, it has been said."""
    for one in told:
        if one.said.kind == "unsubscribed" and one.said.properties.get("everything") and one.to:
            consent.suppress(
                session, one.said.medium, one.to, BEFORE_US, at=min(one.said.at, now), source=one.row.source
            )


def _to_address_and_consent(session: Session, one: Told, now: datetime) -> None:
    said, at, source = one.said, min(one.said.at, now), one.row.source
    because = {"complained": "complaint"}.get(said.kind) or str(said.properties.get("because") or "")
    if said.kind == "bounced" and said.properties.get("bounce") == "hard":
        because = "hard bounce"
    if said.kind == "unsubscribed" or because in ("complaint", "unsubscribed"):
        assert one.contact is not None
        # A complaint is a no to everything; a no is to what the letter was about.
        topic = one.ours.topic if one.ours and one.ours.topic and because != "complaint" else "*"
        proof = {"event": one.event_id, "from": source, "told": said.kind}
        consent.record_dated(
            session, one.contact, said.medium or "email", topic, False, at=at, source=source, proof=proof
        )
    if because and because != "unsubscribed" and one.to:
        consent.suppress(session, said.medium or "email", one.to, because, at=at, source=source)


def _perhaps_in_a_row(session: Session, facts: Sequence[Told]) -> set[int]:
    """Whom another bounce may silence, or something that arrived let speak again."""
    bounced = {one.contact for one in facts if one.said.kind == "bounced" and one.contact}
    arrived = {one.to: one.contact for one in facts if one.said.kind == "delivered" and one.contact and one.to}
    silenced = select(col(Suppression.key)).where(
        in_values(session, col(Suppression.key), arrived), col(Suppression.reason) == SOFT
    )
    back = {arrived[key] for key in session.execute(silenced).scalars()} if arrived else set()
    return bounced | {contact for contact in back if contact}


def _in_a_row(session: Session, contacts: Iterable[int], now: datetime) -> None:
    """Suppress who could not be reached so many times, and no longer when it turns out that something did arrive."""
    told = select(
        col(Event.contact_id), col(Event.kind), col(Event.at), col(Event.enrolment_id), col(Event.step), col(Event.id),
        col(Event.properties), col(Event.medium),
    ).where(in_values(session, col(Event.contact_id), set(contacts)), unindexed(col(Event.kind)).in_(["bounced", "delivered"]))  # fmt: skip
    by_address: dict[tuple[int, str, str], list[Any]] = {}
    for row in session.execute(told.order_by(col(Event.at), col(Event.id))):
        if to := row.properties.get("to"):
            by_address.setdefault((row.contact_id, to, row.medium or "email"), []).append(row)
    for (contact, to, medium), rows in by_address.items():
        arrived = max((row.at for row in rows if row.kind == "delivered"), default=None)
        bounced: dict[Any, datetime] = {}  # by letter, its first bounce
        for row in rows:
            soft = row.kind == "bounced" and row.properties.get("bounce") == "soft"
            if soft and row.properties.get("counts", True) and (arrived is None or row.at > arrived):
                bounced.setdefault((row.enrolment_id, row.step) if row.enrolment_id else row.id, row.at)
        standing = session.get(Suppression, to)
        if len(bounced) >= SOFT_IN_A_ROW:
            enough = sorted(bounced.values())[SOFT_IN_A_ROW - 1]
            consent.suppress(session, medium, to, SOFT, at=enough, source=consent.DERIVED)
            if standing is not None and standing.reason == SOFT:
                standing.at = enough
        elif standing is not None and standing.reason == SOFT and standing.medium == medium:
            session.execute(delete(Suppression).where(col(Suppression.key) == to), execution_options=QUIETLY)
            session.expunge(standing)
            audit(session, now, consent.DERIVED, "no longer suppressed", f"contact:{contact}", medium=medium)


@dataclass(frozen=True)
class Touch:
    """An open or a click of one message. `flagged`: its source already says that it was a machine."""

    id: int
    at: datetime
    link: str
    flagged: bool


def machines(touches: Sequence[Touch], sent_at: datetime | None) -> set[int]:
    """Which of one message's touches no person made: too soon after it left, or every link in one go."""
    found = {touch.id for touch in touches if touch.flagged}
    if sent_at is not None:
        found |= {touch.id for touch in touches if -COARSE <= touch.at - sent_at < AT_ONCE}
    clicks = sorted((touch for touch in touches if touch.link), key=lambda touch: touch.at)
    for first in clicks:
        close = [touch for touch in clicks if timedelta(0) <= touch.at - first.at <= BURST]
        if len({touch.link for touch in close}) >= BURST_LINKS:
            found |= {touch.id for touch in close}
        together = [touch for touch in close if touch.at - first.at < AT_ONCE]
        if len({touch.link for touch in together}) > 1:
            found |= {touch.id for touch in together}
    return found


def mark_machines(session: Session, enrolments: Collection[int]) -> set[int]:
    """Judge every open and click of these people's messages anew; what turns out to be a machine's counts no more.
    Returns of which contacts that changes anything."""
    chosen = (
        select(
            col(Event.id), col(Event.at), col(Event.machine), col(Event.properties), col(Event.enrolment_id), col(Event.step),
            col(Event.medium), col(Event.contact_id), col(Batch.claimed_at),
        )
        .outerjoin(
            Message,
            (col(Message.enrolment_id) == col(Event.enrolment_id))
            & (col(Message.step) == col(Event.step))
            & (col(Message.medium) == col(Event.medium)),
        )
        .outerjoin(Batch, col(Batch.id) == col(Message.batch_id))
        .where(in_values(session, col(Event.enrolment_id), enrolments), unindexed(col(Event.kind)).in_(["opened", "clicked"]))
    )  # fmt: skip
    by_message: dict[Any, list[Any]] = {}
    for row in session.execute(chosen):
        by_message.setdefault((row.enrolment_id, row.step, row.medium), []).append(row)
    changed, whose = [], set()
    for rows in by_message.values():
        touches = [
            Touch(row.id, row.at, str(row.properties.get("url") or row.properties.get("link", "")), "machine" in row.properties)
            for row in rows
        ]  # fmt: skip
        judged = machines(touches, rows[0].claimed_at)
        wrong = [row for row in rows if row.machine is not (row.id in judged)]
        changed += [{"e": row.id, "is": row.id in judged} for row in wrong]
        whose |= {row.contact_id for row in wrong}
    if changed:
        table: Any = Event.__table__  # type: ignore[attr-defined]
        change = update(table).where(table.c.id == bindparam("e")).values(machine=bindparam("is"))
        session.connection().execute(change, changed)
    return whose
