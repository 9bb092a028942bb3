"""Where people are in a launch: how many are under way, at which step and until when, and how the others ended."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from passaparola.store.models import Enrolment, Launch


@dataclass
class LaunchStatus:
    launch: int
    campaign: str
    state: str
    note: str
    accepting: bool
    since: datetime | None
    entered: int = 0
    under_way: int = 0
    held_out: int = 0
    goal: int = 0
    goal_of_held_out: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)  # what comes next, for how many, and when at the earliest


def launch_status(session: Session, launch: Launch) -> LaunchStatus:
    status = LaunchStatus(
        launch.id or 0, launch.campaign, launch.state, launch.note, launch.accepting, launch.started_at or launch.due_at
    )
    people = (col(Enrolment.launch_id) == launch.id, col(Enrolment.contact_id).is_not(None))
    reached = func.count(col(Enrolment.goal_at))
    counted = select(col(Enrolment.outcome), col(Enrolment.holdout), func.count(), reached).where(*people)
    for outcome, holdout, count, goal in session.execute(
        counted.group_by(col(Enrolment.outcome), col(Enrolment.holdout))
    ):
        status.entered += count
        status.held_out += count if holdout else 0
        status.goal += 0 if holdout else goal
        status.goal_of_held_out += goal if holdout else 0
        if outcome is None:
            status.under_way += count
        else:
            status.ended[outcome] = status.ended.get(outcome, 0) + count
    waiting = (
        select(col(Enrolment.step), col(Enrolment.waiting), func.count(), func.min(col(Enrolment.due_at)))
        .where(*people, col(Enrolment.outcome).is_(None))
        .group_by(col(Enrolment.step), col(Enrolment.waiting))
        .order_by(col(Enrolment.step))
    )
    for step, kind, count, due in session.execute(waiting):
        name = describe_step(launch.content["steps"][step])
        status.steps.append({"step": step + 1, "next": name, "waits_for": kind, "people": count, "earliest": due})
    return status


def describe_step(step: dict[str, Any]) -> str:
    """Describe a step in a few words."""
    if "say" in step:
        return f"say {step['say']}"
    if "wait" in step:
        return f"wait {step['wait']}" + (f" at {step['at']}" if step.get("at") else "")
    return f"wait for {step['wait for']}"


def unfinished_launches(session: Session, name: str) -> list[Launch]:
    """Return every launch of a campaign that is not over, newest first; else its last one."""
    all_ = select(Launch).where(col(Launch.campaign) == name).order_by(col(Launch.id).desc())
    going = [
        launch for launch in session.execute(all_.limit(200)).scalars() if launch.state not in ("finished", "recalled")
    ]
    return going or list(session.execute(all_.limit(1)).scalars())
