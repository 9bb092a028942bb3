"""When the next enrolment is due."""

from datetime import datetime

from sqlalchemy import func, select
from sqlmodel import Session, col

from passaparola.store.models import Enrolment, Launch


def next_due(session: Session, launch: int | None = None) -> datetime | None:
    """Return when an enrolment of a running launch is next due; events apart, nothing happens before."""
    earliest = (
        select(func.min(col(Enrolment.due_at)))
        .join(Launch, col(Launch.id) == col(Enrolment.launch_id))
        .where(col(Enrolment.outcome).is_(None), col(Launch.state) == "running")
    )
    due_at: datetime | None = session.execute(earliest.where(col(Launch.id) == launch) if launch else earliest).scalar()
    return due_at
