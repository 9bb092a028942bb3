"""Doubt resolved by what came back: whatever a provider tells of a message of an attempt, it had accepted that
attempt."""

from datetime import datetime

from sqlalchemy import or_, select
from sqlmodel import col

from passaparola.channel.registry import sender_class
from passaparola.outbox.batches import set_rows
from passaparola.store.database import Store, audit
from passaparola.store.models import Attempt, Batch, Event, Message
from passaparola.store.states import MessageState


def resolve_unknown(store: Store, now: datetime) -> int:
    """Resolve unknown attempts from feedback: any provider event about one message proves that it accepted the
    attempt. Return how many messages."""
    with store.read() as session:
        whole = session.execute(select(col(Batch.id)).where(col(Batch.state) == MessageState.UNKNOWN)).scalars().all()
        alone = (
            session.execute(select(col(Message.batch_id)).where(col(Message.state) == MessageState.UNKNOWN))
            .scalars()
            .all()
        )
    return sum(_resolve_batch(store, id_, now) for id_ in sorted({id_ for id_ in (*whole, *alone) if id_ is not None}))


def _resolve_batch(store: Store, batch_id: int, now: datetime) -> int:
    with store.write() as session:
        batch = session.execute(select(Batch).where(col(Batch.id) == batch_id).with_for_update()).scalar_one()
        attempt = session.execute(
            select(Attempt).where(col(Attempt.batch_id) == batch_id, col(Attempt.fence) == batch.fence)
        ).scalar()
        if attempt is None:
            return 0
        parked = col(Message.state) == MessageState.UNKNOWN
        if batch.state == MessageState.UNKNOWN:
            parked = or_(parked, col(Message.state).is_(None))
        unsure = select(col(Message.enrolment_id)).where(col(Message.batch_id) == batch_id, parked)
        query = select(col(Event.enrolment_id)).where(
            col(Event.enrolment_id) == col(Message.enrolment_id),
            col(Event.step) == col(Message.step),
            col(Event.medium) == col(Message.medium),
            col(Event.at) >= attempt.started_at.replace(microsecond=0),
        )
        proved = list(session.execute(unsure.where(query.exists())).scalars())
        if proved and sender_class(attempt.channel).all_or_nothing:
            proved = list(session.execute(unsure).scalars())
        if not proved:
            return 0
        set_rows(session, batch, MessageState.SENT, [{"e": enrolment, "why": None} for enrolment in proved])
        if batch.state == MessageState.UNKNOWN and session.execute(unsure.limit(1)).scalar() is None:
            batch.state, batch.finished_at = MessageState.SENT, now
        audit(session, now, "feedback", "resolved", f"batch:{batch_id}", attempt=attempt.id, accepted=len(proved))
        return len(proved)
