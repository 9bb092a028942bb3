"""A backup put back says less than happened: what it holds as unsent may have been sent since. That is a doubt like any
other, parked and never repeated blindly."""

from datetime import datetime

from sqlalchemy import select
from sqlmodel import col

from contacts.models import Attempt, Batch, Launch
from contacts.store import Store, audit


def doubt(store: Store, now: datetime) -> int:
    """Every batch that was due and open when the backup was made is unknown until a look-up or feedback proves otherwise."""
    with store.write() as session:
        open_ = (
            select(Batch, Launch)
            .join(Launch, col(Launch.id) == col(Batch.launch_id))
            .where(
                col(Batch.state).in_(["queued", "sending"]), col(Batch.due_at) <= now, col(Launch.state) != "recalled"
            )
            .with_for_update(of=Batch)
        )
        doubted = 0
        for batch, launch in session.execute(open_).all():
            batch.state, batch.fence, batch.finished_at = "unknown", batch.fence + 1, now
            session.add(
                Attempt(
                    batch_id=batch.id, fence=batch.fence, channel=launch.content["channels"][batch.medium], size=batch.size,
                    started_at=batch.due_at, finished_at=now, outcome="unknown", detail="a backup was put back",
                )
            )  # fmt: skip
            doubted += 1
        audit(session, now, "operator", "put a backup back", "store", batches=doubted)
        return doubted
