"""Apply events to journeys: someone enters, goes on, leaves, or has done what the campaign is for.

What is new is known by when it was received, with a margin: a transaction may commit after one that began later. Every
statement may run again over the same news and changes nothing the second time.
"""

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, func, literal, or_, select, update
from sqlmodel import Session, col

from passaparola.contacts.audience.compile import Clause
from passaparola.journeys import enrolment
from passaparola.store.bulk import execute_update
from passaparola.store.json_values import scalar
from passaparola.store.models import Batch, Enrolment, Event, Launch, Message
from passaparola.store.states import MessageState
from passaparola.store.types import add_seconds, truncate_to_minute

CLOCK_MARGIN = timedelta(minutes=10)


def event_kinds(content: dict[str, Any]) -> set[str]:
    """Return the kinds of event a campaign reacts to."""
    named = [content["enter"].get("on"), (content["leave"] or {}).get("on"), (content["goal"] or {}).get("on")]
    return {kind for kind in (*named, *(step.get("wait for") for step in content["steps"])) if kind}


def pending_event_kinds(session: Session, launch: Launch, now: datetime) -> frozenset[str]:
    """Return the kinds of event that were recorded since the launch last looked."""
    if not (wanted := event_kinds(launch.content)):
        return frozenset()
    query = select(col(Event.id)).where(col(Event.received_at) >= _events_since(launch, now)).limit(1)
    return frozenset(
        kind for kind in wanted if session.execute(query.where(col(Event.kind) == kind)).scalar() is not None
    )


def _events_since(launch: Launch, now: datetime) -> datetime:
    assert launch.started_at is not None
    return min(launch.events_cursor or launch.started_at, now) - CLOCK_MARGIN


def apply_events(session: Session, launch: Launch, new: Collection[str], now: datetime) -> Counter[str]:
    """Apply pending events to a launch, which is locked."""
    since, content, moved = _events_since(launch, now), launch.content, Counter[str]()
    if launch.accepting and content["enter"].get("on") in new:
        moved["entered"] += enrolment.enrol_from_events(session, launch, since, now)
    if content["leave"] and content["leave"].get("on") in new:
        moved["left"] += end_passages(session, launch, _contacts_with_event(content["leave"]["on"], since), now)
    for kind in {step["wait for"] for step in content["steps"] if step.get("wait for") in new}:
        moved["woken"] += wake_waiting(session, launch, kind, _contacts_with_event(kind, since))
    if content["goal"] and content["goal"]["on"] in new:
        moved["reached the goal"] += _record_goals(session, launch, _contacts_with_event(content["goal"]["on"], since))
    launch.events_cursor = now
    session.add(launch)
    return moved


def _contacts_with_event(kind: str, since: datetime) -> Clause:
    did = select(col(Event.contact_id)).where(col(Event.kind) == kind, col(Event.received_at) >= since)
    return col(Enrolment.contact_id).in_(did)


def end_passages(session: Session, launch: Launch, who: Clause, now: datetime) -> int:
    """End the enrolments for which the ending event has happened."""
    kind = (launch.content["leave"] or {}).get("on")
    if not kind:
        return 0
    ending = _after(launch.content, kind, col(Event.at) >= col(Enrolment.entered_at))
    still_to_come = exists(
        select(literal(1))
        .select_from(Message)
        .join(Batch, col(Batch.id) == col(Message.batch_id))
        .where(
            col(Message.enrolment_id) == col(Enrolment.id),
            col(Message.state).is_(None),
            col(Batch.state) == MessageState.QUEUED,
        )
        .correlate(Enrolment)
    )
    inside = or_(col(Enrolment.outcome).is_(None), and_(col(Enrolment.outcome) == "finished", still_to_come))
    left = update(Enrolment).where(col(Enrolment.launch_id) == launch.id, inside, who, ending)
    return execute_update(session, left.values(outcome="left", ended_at=now, waiting=None))


def wake_waiting(session: Session, launch: Launch, kind: str, who: Clause) -> int:
    """Move on those who waited for an event, from the minute in which it happened."""
    within = (col(Event.at) >= col(Enrolment.since), col(Event.at) <= col(Enrolment.due_at))
    first = select(truncate_to_minute(func.min(col(Event.at)))).where(*_is_own_event(launch.content, kind), *within)
    waiting = update(Enrolment).where(
        col(Enrolment.launch_id) == launch.id,
        col(Enrolment.outcome).is_(None),
        col(Enrolment.waiting) == kind,
        who,
        _after(launch.content, kind, *within),
    )
    on = {
        "step": col(Enrolment.step) + 1,
        "due_at": func.coalesce(first.correlate(Enrolment).scalar_subquery(), col(Enrolment.due_at)),
        "waiting": None,
        "since": None,
    }
    return execute_update(session, waiting.values(**on))


def _record_goals(session: Session, launch: Launch, who: Clause) -> int:
    """Record the goals of everyone who entered, written to or not: that is how the effect is measured."""
    goal = launch.content["goal"]
    within = (
        col(Event.at) > col(Enrolment.entered_at),
        col(Event.at) <= add_seconds(col(Enrolment.entered_at), goal["within"]),
    )
    first = select(func.min(col(Event.at))).where(*_is_own_event(launch.content, goal["on"], keyed=False), *within)
    reached = update(Enrolment).where(
        col(Enrolment.launch_id) == launch.id,
        col(Enrolment.goal_at).is_(None),
        func.coalesce(col(Enrolment.outcome), "") != "moved",
        who,
        _after(launch.content, goal["on"], *within, keyed=False),
    )
    return execute_update(session, reached.values(goal_at=first.correlate(Enrolment).scalar_subquery()))


def _is_own_event(content: dict[str, Any], kind: str, *, keyed: bool = True) -> list[Clause]:
    """Build the conditions of an event of the enrolment's own: not the one that started it, and of its key where it
    names one."""
    conditions: list[Any] = [
        col(Event.contact_id) == col(Enrolment.contact_id),
        col(Event.kind) == kind,
        ~col(Event.machine),
        col(Event.id) != func.coalesce(col(Enrolment.event_id), -1),
    ]
    if keyed and (key := content["enter"].get("key")):
        named = scalar(col(Event.properties), key, "key")
        conditions.append(or_(named.is_(None), named == col(Enrolment.key)))
    return conditions


def _after(content: dict[str, Any], kind: str, *when: Clause, keyed: bool = True) -> Clause:
    return exists(select(literal(1)).where(*_is_own_event(content, kind, keyed=keyed), *when).correlate(Enrolment))
