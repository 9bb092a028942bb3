"""Machine-made opens, clicks, shares and taps: those of scanners, proxies and prefetches are kept and decide
nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlmodel import Session, col

from passaparola.store.bulk import in_values, table_of
from passaparola.store.models import Batch, Event, Message
from passaparola.store.types import unindexed

JUDGED_KINDS = ("opened", "clicked", "shared", "friend_visited")
TOO_SOON = timedelta(seconds=2)  # nobody opens an email and finds the link in this
CLOCK_STEP = timedelta(seconds=1)  # providers tell times in whole seconds
BURST, BURST_LINKS = timedelta(seconds=10), 3  # a scanner follows every link; a person does not


@dataclass(frozen=True)
class Touch:
    """An open, a click, a share or a tap of one message. `flagged`: its source already says that a machine made it."""

    id: int
    at: datetime
    link: str
    flagged: bool


def find_machine_touches(touches: Sequence[Touch], sent_at: datetime | None) -> set[int]:
    """Find the touches of one message that no person made: too soon after it left, or every link in one go."""
    machine = {touch.id for touch in touches if touch.flagged}
    if sent_at is not None:
        machine |= {touch.id for touch in touches if -CLOCK_STEP <= touch.at - sent_at < TOO_SOON}
    clicks = sorted((touch for touch in touches if touch.link), key=lambda touch: touch.at)
    for first in clicks:
        close = [touch for touch in clicks if timedelta(0) <= touch.at - first.at <= BURST]
        if len({touch.link for touch in close}) >= BURST_LINKS:
            machine |= {touch.id for touch in close}
        at_once = [touch for touch in close if touch.at - first.at < TOO_SOON]
        if len({touch.link for touch in at_once}) > 1:
            machine |= {touch.id for touch in at_once}
    return machine


def judge_touches(session: Session, enrolments: Collection[int]) -> set[int]:
    """Judge every touch of these enrolments' messages anew; what turns out to be a machine's counts no more.

    Return the contacts whose activity must be counted anew.
    """
    changes: list[dict[str, Any]] = []
    contacts: set[int] = set()
    for rows in _load_touches(session, enrolments).values():
        touches = [Touch(row.id, row.at, _link_of(row), "machine" in row.properties) for row in rows]
        machine = find_machine_touches(touches, rows[0].claimed_at)
        wrong = [row for row in rows if row.machine is not (row.id in machine)]
        changes += [{"event": row.id, "verdict": row.id in machine} for row in wrong]
        contacts |= {row.contact_id for row in wrong}
    if changes:
        table = table_of(Event)
        change = update(table).where(table.c.id == bindparam("event")).values(machine=bindparam("verdict"))
        session.connection().execute(change, changes)
    return contacts


def _link_of(row: Any) -> str:
    properties = row.properties
    return str(properties.get("url") or properties.get("link") or properties.get("network") or "")


def _load_touches(session: Session, enrolments: Collection[int]) -> dict[Any, list[Any]]:
    """Return the touches by message."""
    chosen = (
        select(
            col(Event.id),
            col(Event.at),
            col(Event.machine),
            col(Event.properties),
            col(Event.enrolment_id),
            col(Event.step),
            col(Event.medium),
            col(Event.contact_id),
            col(Batch.claimed_at),
        )
        .outerjoin(
            Message,
            (col(Message.enrolment_id) == col(Event.enrolment_id))
            & (col(Message.step) == col(Event.step))
            & (col(Message.medium) == col(Event.medium)),
        )
        .outerjoin(Batch, col(Batch.id) == col(Message.batch_id))
        .where(in_values(session, col(Event.enrolment_id), enrolments), unindexed(col(Event.kind)).in_(JUDGED_KINDS))
    )
    by_message: dict[Any, list[Any]] = {}
    for row in session.execute(chosen):
        by_message.setdefault((row.enrolment_id, row.step, row.medium), []).append(row)
    return by_message
