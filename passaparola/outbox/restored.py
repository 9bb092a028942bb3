"""A backup put back says less than happened: what it holds as unsent may have been sent since. That is a doubt like any
other, parked and never repeated blindly."""

from datetime import datetime

from sqlalchemy import or_, select, update
from sqlmodel import Session, col

from passaparola.store.bulk import execute_update
from passaparola.store.database import Store, audit
from passaparola.store.models import Attempt, Batch, Enrolment, Launch
from passaparola.store.states import MessageState


def mark_restored(store: Store, now: datetime) -> int:
    """Mark the store as restored. Every batch that was due and open when the backup was made is unknown until a
    look-up or feedback proves otherwise."""
    with store.write() as session:
        open_ = (
            select(Batch, Launch)
            .join(Launch, col(Launch.id) == col(Batch.launch_id))
            .where(
                col(Batch.state).in_([MessageState.QUEUED, MessageState.SENDING]),
                col(Batch.due_at) <= now,
                col(Launch.state) != "recalled",
            )
            .with_for_update(of=Batch)
        )
        doubted = 0
        for batch, launch in session.execute(open_).all():
            batch.state, batch.fence, batch.finished_at = MessageState.UNKNOWN, batch.fence + 1, now
            session.add(
                Attempt(
                    batch_id=batch.id,
                    fence=batch.fence,
                    channel=launch.content["channels"][batch.medium],
                    size=batch.size,
                    started_at=batch.due_at,
                    finished_at=now,
                    outcome="unknown",
                    detail="a backup was put back",
                )
            )
            doubted += 1
        paused = _pause_launches(session)
        audit(session, now, "operator", "put a backup back", "store", batches=doubted, launches=paused)
        return doubted


def _pause_launches(session: Session) -> int:
    """Pause launches in which people still move on: what they were sent since is not known here, so somebody looks
    first."""
    inside = select(col(Enrolment.id)).where(
        col(Enrolment.launch_id) == col(Launch.id), col(Enrolment.outcome).is_(None)
    )
    going = update(Launch).where(col(Launch.state) == "running", or_(col(Launch.accepting), inside.exists()))
    note = "a backup was put back: look who was told what since, then resume"
    return execute_update(session, going.values(state="paused", note=note))
