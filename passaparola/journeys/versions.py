"""Changing a campaign in flight: people finish the version they entered unless they are moved, after a plan that says
where to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, literal, select, update
from sqlmodel import Session, col

from passaparola.errors import NotAllowed
from passaparola.journeys.enrolment import COLUMNS
from passaparola.journeys.launch import accepting_launch, lock_launch
from passaparola.journeys.status import describe_step
from passaparola.store.bulk import execute_update
from passaparola.store.database import Store, audit
from passaparola.store.models import Enrolment, Launch


@dataclass
class Move:
    """What a move would do: from which launch, for how many at which step, to which step of the newer version."""

    campaign: str
    to: int
    parts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def people(self) -> int:
        return sum(part["people"] for part in self.parts if part["to_step"] is not None)


def plan_move(session: Session, name: str) -> Move:
    """Plan a move to the newer version. Raises NotAllowed: there is no newer version, or nobody is in an older one."""
    newest = accepting_launch(session, name)
    if newest is None or newest.id is None:
        raise NotAllowed(f"“{name}” does not stand; send its new version first, then move people to it.")
    move = Move(name, newest.id)
    older = select(Launch).where(
        col(Launch.campaign) == name, col(Launch.id) < newest.id, col(Launch.state).in_(["running", "paused"])
    )
    for launch in session.execute(older.order_by(col(Launch.id))).scalars():
        counted = select(col(Enrolment.step), func.count()).where(*_under_way(launch)).group_by(col(Enrolment.step))
        for step, people in session.execute(counted.order_by(col(Enrolment.step))):
            to = _same_step(launch.content, step, newest.content)
            next_ = (
                describe_step(newest.content["steps"][to]) if to is not None else "stay: it says nothing that follows"
            )
            move.parts.append(
                {
                    "launch": launch.id,
                    "step": step,
                    "now": describe_step(launch.content["steps"][step]),
                    "people": people,
                    "to_step": to,
                    "then": next_,
                }
            )
    if not move.parts:
        raise NotAllowed(f"Nobody is under way in an older version of “{name}”.")
    return move


def _under_way(launch: Launch) -> tuple[Any, ...]:
    return (
        col(Enrolment.launch_id) == launch.id,
        col(Enrolment.contact_id).is_not(None),
        col(Enrolment.outcome).is_(None),
    )


def _same_step(old: Mapping[str, Any], step: int, new: Mapping[str, Any]) -> int | None:
    """Return the place in the newer version from which the same message comes next, after the same kind of wait."""
    next_say = next((place for place in range(step, len(old["steps"])) if "say" in old["steps"][place]), None)
    if next_say is None:
        return None
    message = old["steps"][next_say]["say"]
    there = next((place for place, candidate in enumerate(new["steps"]) if candidate.get("say") == message), None)
    if there is None:
        return None
    back = next_say - step
    alike = back <= there and [_kind(old["steps"][step + n]) for n in range(back)] == [
        _kind(new["steps"][there - back + n]) for n in range(back)
    ]
    return there - back if alike else there


def _kind(step: Mapping[str, Any]) -> str:
    return str(step.get("wait for") or next(iter(step)))


def move_enrolments(store: Store, name: str, *, actor: str, now: datetime) -> Move:
    """Move enrolments as `plan_move` says, by ending each old one and adding one to the newer version. Raises
    NotAllowed."""
    with store.write() as session:
        move = plan_move(session, name)
        newest = lock_launch(session, move.to)
        for part in move.parts:
            if part["to_step"] is None:
                continue
            launch = lock_launch(session, part["launch"])
            at = (*_under_way(launch), col(Enrolment.step) == part["step"])
            columns = [column for column in COLUMNS if column not in ("launch_id", "step")] + ["waiting", "since"]
            new = select(literal(newest.id), *(col(getattr(Enrolment, name)) for name in columns)).where(*at)
            listens = newest.content["steps"][part["to_step"]].get("wait for")
            step = literal(part["to_step"])
            session.execute(insert(Enrolment).from_select(["launch_id", *columns, "step"], new.add_columns(step)))
            if not listens:  # whoever waited for something that is no longer waited for goes on when patience ends
                quit_ = update(Enrolment).where(*_under_way(newest), col(Enrolment.step) == part["to_step"])
                execute_update(session, quit_.values(waiting=None, since=None))
            over = update(Enrolment).where(*at).values(outcome="moved", ended_at=now, waiting=None)
            execute_update(session, over)
        audit(session, now, actor, "moved", f"launch:{move.to}", people=move.people)
        return move
