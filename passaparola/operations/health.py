"""How it stands: what is due and does not move, where each step is stuck, and what waits for a person. Counts and
ids only.

The watchdog, readiness, the metrics and `passaparola doctor` all read this page.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlmodel import Session, col

from passaparola.outbox.claim import unpaused_channels
from passaparola.store import incidents
from passaparola.store.database import Store
from passaparola.store.models import Batch, Enrolment, Launch, PollCursor, RawBody
from passaparola.store.states import MessageState

STUCK_AFTER = timedelta(
    minutes=10
)  # longer than any clock's interval: what is due for so long waits for nobody who comes
UNKNOWN_FOR_LONG = timedelta(days=1)


@dataclass(frozen=True)
class Backlog:
    """How many are due, and for how many seconds the oldest has been."""

    count: int = 0
    oldest: float = 0.0


@dataclass
class HealthSnapshot:
    at: datetime
    inbound: Backlog = field(default_factory=Backlog)  # bodies kept and not applied yet
    enrolments: Backlog = field(default_factory=Backlog)  # people whose wait is over
    batches: Backlog = field(default_factory=Backlog)  # messages' batches that are due
    messages: int = 0  # in those batches
    calls: Backlog = field(default_factory=Backlog)  # batches at a provider
    unknown: Backlog = field(default_factory=Backlog)  # batches whose answer never came
    launches: Counter[str] = field(default_factory=Counter)  # by state
    invalid_bodies: int = 0  # bodies that were not understood
    paused: dict[str, str] = field(default_factory=dict)  # channel → why
    backoffs: dict[str, datetime] = field(default_factory=dict)
    polled_at: dict[str, datetime] = field(default_factory=dict)  # polled channels, and when they last were
    incidents: list[tuple[int, str, str]] = field(default_factory=list)  # launches that stopped themselves, and why


def take_snapshot(store: Store, now: datetime) -> HealthSnapshot:
    with store.read() as session:
        snapshot = HealthSnapshot(now)
        snapshot.inbound = _count_backlog(session, now, col(RawBody.received_at), col(RawBody.state) == "new")
        running = col(Launch.state) == "running"
        due = and_(
            col(Enrolment.outcome).is_(None), col(Enrolment.due_at) <= now, running, col(Enrolment.waiting).is_(None)
        )
        joined = (Launch, col(Launch.id) == col(Enrolment.launch_id))
        snapshot.enrolments = _count_backlog(session, now, col(Enrolment.due_at), due, joined)
        _count_outbox(session, now, snapshot)
        counted = select(col(Launch.state), func.count()).group_by(col(Launch.state))
        snapshot.launches = Counter(dict(session.execute(counted).all()))
        snapshot.invalid_bodies = session.execute(
            select(func.count()).where(col(RawBody.state) == "invalid")
        ).scalar_one()
        snapshot.paused = {
            incident.channel: incident.reason
            for incident in incidents.open_incidents(session)
            if incident.direction == "sending"
        }
        snapshot.backoffs = incidents.active_backoffs(session, now)
        snapshot.polled_at = {
            row.source: row.at for row in session.execute(select(PollCursor)).scalars() if row.source != "once an hour"
        }
        itself = select(col(Launch.id), col(Launch.campaign), col(Launch.note)).where(
            col(Launch.state) == "paused", col(Launch.note).startswith("cannot be prepared")
        )
        snapshot.incidents = [(id_, name, note) for id_, name, note in session.execute(itself)]
    return snapshot


def _count_outbox(session: Session, now: datetime, snapshot: HealthSnapshot) -> None:
    running = and_(col(Launch.state) == "running", *unpaused_channels(session, incidents.active_backoffs(session, now)))
    joined = (Launch, col(Launch.id) == col(Batch.launch_id))
    due = and_(col(Batch.state) == MessageState.QUEUED, col(Batch.due_at) <= now, running)
    snapshot.batches = _count_backlog(session, now, col(Batch.due_at), due, joined)
    waiting = select(func.coalesce(func.sum(col(Batch.size)), 0)).join(*joined).where(due)
    snapshot.messages = int(session.execute(waiting).scalar_one())
    snapshot.calls = _count_backlog(session, now, col(Batch.claimed_at), col(Batch.state) == MessageState.SENDING)
    snapshot.unknown = _count_backlog(
        session,
        now,
        func.coalesce(col(Batch.finished_at), col(Batch.claimed_at)),
        col(Batch.state) == MessageState.UNKNOWN,
    )


def _count_backlog(
    session: Session, now: datetime, at: object, which: ColumnElement[bool], joined: tuple[Any, Any] | None = None
) -> Backlog:
    counted = select(func.count(), func.min(at)).where(which)
    count, first = session.execute(counted.join(*joined) if joined else counted).one()
    return Backlog(count, max((now - first).total_seconds(), 0.0) if first else 0.0)
