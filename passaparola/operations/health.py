"""How it stands: what is due and does not move, where each step is stuck, and what waits for a person. Counts and ids only.

The watchdog, readiness, the metrics and `passaparola doctor` all read this page.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlmodel import Session, col

from passaparola.outbox.claim import not_paused
from passaparola.store import incidents
from passaparola.store.database import Store
from passaparola.store.models import Batch, Enrolment, Intake, Launch, Listened

IDLE = timedelta(minutes=10)  # longer than any clock's interval: what is due for so long waits for nobody who comes
DOUBTED = timedelta(days=1)


@dataclass(frozen=True)
class Heap:
    """How many, and for how many seconds the oldest has been due."""

    count: int = 0
    oldest: float = 0.0


@dataclass
class Standing:
    at: datetime
    heard: Heap = field(default_factory=Heap)  # bodies kept and not applied yet
    passages: Heap = field(default_factory=Heap)  # people whose wait is over
    batches: Heap = field(default_factory=Heap)  # messages' batches that are due
    messages: int = 0  # in those batches
    calls: Heap = field(default_factory=Heap)  # batches at a provider
    doubts: Heap = field(default_factory=Heap)  # batches whose answer never came
    launches: Counter[str] = field(default_factory=Counter)  # by state
    odd: int = 0  # bodies that were not understood
    paused: dict[str, str] = field(default_factory=dict)  # channel → why
    resting: dict[str, datetime] = field(default_factory=dict)
    looked: dict[str, datetime] = field(default_factory=dict)  # ears that go and look, and when they last did
    stopped: list[tuple[int, str, str]] = field(default_factory=list)  # launches that stopped themselves, and why


def seen(store: Store, now: datetime) -> Standing:
    with store.read() as session:
        found = Standing(now)
        found.heard = _heap(session, now, col(Intake.received_at), col(Intake.state) == "new")
        running = col(Launch.state) == "running"
        due = and_(
            col(Enrolment.outcome).is_(None), col(Enrolment.due_at) <= now, running, col(Enrolment.waiting).is_(None)
        )
        joined = (Launch, col(Launch.id) == col(Enrolment.launch_id))
        found.passages = _heap(session, now, col(Enrolment.due_at), due, joined)
        _outbox(session, now, found)
        counted = select(col(Launch.state), func.count()).group_by(col(Launch.state))
        found.launches = Counter(dict(session.execute(counted).all()))
        found.odd = session.execute(select(func.count()).where(col(Intake.state) == "odd")).scalar_one()
        found.paused = {one.channel: one.reason for one in incidents.standing(session) if one.way == "speaking"}
        found.resting = incidents.resting(session, now)
        found.looked = {
            row.source: row.at for row in session.execute(select(Listened)).scalars() if row.source != "once an hour"
        }
        itself = select(col(Launch.id), col(Launch.campaign), col(Launch.note)).where(
            col(Launch.state) == "paused", col(Launch.note).startswith("cannot be prepared")
        )
        found.stopped = [(id_, name, note) for id_, name, note in session.execute(itself)]
    return found


def _outbox(session: Session, now: datetime, found: Standing) -> None:
    running = and_(col(Launch.state) == "running", *not_paused(session, incidents.resting(session, now)))
    joined = (Launch, col(Launch.id) == col(Batch.launch_id))
    due = and_(col(Batch.state) == "queued", col(Batch.due_at) <= now, running)
    found.batches = _heap(session, now, col(Batch.due_at), due, joined)
    waiting = select(func.coalesce(func.sum(col(Batch.size)), 0)).join(*joined).where(due)
    found.messages = int(session.execute(waiting).scalar_one())
    found.calls = _heap(session, now, col(Batch.claimed_at), col(Batch.state) == "sending")
    found.doubts = _heap(
        session, now, func.coalesce(col(Batch.finished_at), col(Batch.claimed_at)), col(Batch.state) == "unknown"
    )


def _heap(session: Session, now: datetime, at: Any, which: ColumnElement[bool], joined: tuple[Any, Any] | None = None) -> Heap:  # fmt: skip
    counted = select(func.count(), func.min(at)).where(which)
    count, first = session.execute(counted.join(*joined) if joined else counted).one()
    return Heap(count, max((now - first).total_seconds(), 0.0) if first else 0.0)
