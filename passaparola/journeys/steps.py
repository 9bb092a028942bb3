"""Moves from a step: to the next one, into a wait, or to an event. By set, in the caller's transaction."""

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, literal, or_, select, true, update
from sqlmodel import Session, col

from passaparola.contacts.audience.compile import Clause
from passaparola.journeys import events
from passaparola.journeys.campaign import Pause, WaitFor
from passaparola.settings import Settings
from passaparola.store.bulk import execute_update
from passaparola.store.models import Contact, Enrolment, Launch
from passaparola.store.types import add_seconds


def move_to_next_step(session: Session, launch: Launch, number: int, now: datetime, who: Clause) -> int:
    """Move enrolments to the next step, due as before, or to the end. Return how many."""
    values: dict[str, Any] = {"step": number + 1, "waiting": None, "since": None}
    if number + 1 == len(launch.content["steps"]):
        values |= {"outcome": "finished", "ended_at": now}
    return execute_update(session, update(Enrolment).where(who).values(**values))


def start_wait(session: Session, settings: Settings, number: int, step: Pause, due: Clause, now: datetime) -> int:
    """Start a wait, whose end is computed once for all who share a minute, a clock and a calendar. Return how many
    wait."""
    ends = step.ends()
    if not ends.needs_clock:
        seconds = int((ends.ends_at(now, "UTC") - now).total_seconds())
        on = update(Enrolment).where(due).values(step=number + 1, due_at=add_seconds(col(Enrolment.due_at), seconds))
        return execute_update(session, on)
    zone = func.coalesce(col(Contact.time_zone), settings.time_zone)
    country = func.coalesce(col(Contact.country), "") if ends.kind == "working_day" else literal("")
    groups = (
        select(col(Enrolment.due_at), zone, country)
        .select_from(Enrolment)
        .outerjoin(Contact, col(Contact.id) == col(Enrolment.contact_id))
        .where(due)
        .distinct()
    )
    clocks = list(session.execute(groups))
    waiting = 0
    alone = len({(zone_, country_) for _, zone_, country_ in clocks}) == 1
    for at, zone_, country_ in clocks:
        same = select(col(Contact.id)).where(zone == zone_, country == country_)
        same_clock: Clause = true() if alone else col(Enrolment.contact_id).in_(same)
        if not alone and zone_ == settings.time_zone and not country_:
            # the public's posts go by the house's clock
            same_clock = or_(same_clock, col(Enrolment.contact_id).is_(None))
        until = ends.ends_at(at, zone_ or settings.time_zone, country_)
        on = update(Enrolment).where(due, col(Enrolment.due_at) == at, same_clock)
        waiting += execute_update(session, on.values(step=number + 1, due_at=until))
    return waiting


def wait_for_event(
    session: Session, launch: Launch, number: int, step: WaitFor, due: Clause, now: datetime
) -> Counter[str]:
    """Wait for an event. Those who have waited long enough go on; those who have just arrived begin to wait, and an
    event that happened since counts at once."""
    moved: Counter[str] = Counter()
    waiting = and_(due, col(Enrolment.waiting).is_not(None))
    moved["timed out"] += move_to_next_step(session, launch, number, now, waiting)
    arrived = and_(due, col(Enrolment.waiting).is_(None))
    earliest = session.execute(select(func.min(col(Enrolment.due_at))).where(arrived)).scalar()
    assert step.up_to is not None
    if earliest is None:
        return moved
    begin = (
        update(Enrolment)
        .where(arrived)
        .values(
            since=col(Enrolment.due_at),
            waiting=step.wait_for,
            due_at=add_seconds(col(Enrolment.due_at), int(step.up_to.total_seconds())),
        )
    )
    moved["waiting"] += execute_update(session, begin)
    just = and_(col(Enrolment.since) >= earliest, col(Enrolment.step) == number)
    moved["woken"] += events.wake_waiting(session, launch, step.wait_for, just)
    move_to_next_step(session, launch, number, now, waiting)
    return moved
