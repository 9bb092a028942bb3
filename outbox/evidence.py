"""Doubt resolved by what came back: whatever a provider tells of a message of an attempt, it had accepted that attempt."""

from datetime import datetime

from sqlalchemy import exists, or_, select
from sqlmodel import Session, col

from channels import get
from contacts.models import Attempt, Batch, Event, Message
from contacts.store import Store, audit
from outbox.batches import set_rows

OWN = ("link", "survey", "preferences")  # a person who follows a link has the letter, too


def resolve(store: Store, now: datetime) -> int:
    """Returns how many messages are known to be sent now. Asked often, so that it costs nothing when nothing is in doubt."""
    with store.read() as session:
        alone = exists(select(1).where(col(Message.batch_id) == col(Batch.id), col(Message.state) == "unknown"))
        doubted = select(col(Batch.id)).where(or_(col(Batch.state) == "unknown", alone))
        ids = list(session.execute(doubted).scalars()) if _any_doubt(session) else []
    return sum(_resolved(store, id_, now) for id_ in ids if id_ is not None)


def _any_doubt(session: Session) -> bool:
    batch = select(1).where(col(Batch.state) == "unknown").limit(1)
    message = select(1).where(col(Message.state) == "unknown").limit(1)
    return session.execute(batch).scalar() is not None or session.execute(message).scalar() is not None


def _resolved(store: Store, batch_id: int, now: datetime) -> int:
    with store.write() as session:
        batch = session.execute(select(Batch).where(col(Batch.id) == batch_id).with_for_update()).scalar_one()
        attempt = session.execute(
            select(Attempt).where(col(Attempt.batch_id) == batch_id, col(Attempt.fence) == batch.fence)
        ).scalar()
        if attempt is None:
            return 0
        parked = col(Message.state) == "unknown"
        if batch.state == "unknown":
            parked = or_(parked, col(Message.state).is_(None))
        unsure = select(col(Message.enrolment_id)).where(col(Message.batch_id) == batch_id, parked)
        heard = select(col(Event.enrolment_id)).where(
            col(Event.enrolment_id) == col(Message.enrolment_id), col(Event.step) == col(Message.step),
            col(Event.medium) == col(Message.medium), col(Event.at) >= attempt.started_at.replace(microsecond=0),
        )  # fmt: skip
        proved = list(session.execute(unsure.where(heard.exists())).scalars())
        if proved and get(attempt.channel).as_one:
            proved = list(session.execute(unsure).scalars())
        if not proved:
            return 0
        set_rows(session, batch, "sent", [{"e": enrolment, "why": None} for enrolment in proved])
        if batch.state == "unknown" and session.execute(unsure.limit(1)).scalar() is None:
            batch.state, batch.finished_at = "sent", now
        audit(session, now, "feedback", "resolved", f"batch:{batch_id}", attempt=attempt.id, accepted=len(proved))
        return len(proved)
