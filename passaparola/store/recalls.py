"""Recall of a launch, by whomever and for whatever reason: every open enrolment ends."""

from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col

from passaparola.store.bulk import execute_update
from passaparola.store.models import Enrolment, Launch

RECALLED = "recalled"


def recall(session: Session, launch: Launch, note: str, now: datetime) -> None:
    """Recall a launch, which is locked. Calls under way end; what was still to come never goes out."""
    launch.state, launch.note, launch.accepting = RECALLED, note, False
    inside = update(Enrolment).where(col(Enrolment.launch_id) == launch.id, col(Enrolment.outcome).is_(None))
    ended = inside.values(outcome=RECALLED, ended_at=now, waiting=None)
    execute_update(session, ended)
