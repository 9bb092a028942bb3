"""Enrolment: an audience at once or on each occurrence of a schedule, or one by one on an event; each one statement."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, cast, exists, func, insert, literal, or_, select, true
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from passaparola.contacts.audience import Question
from passaparola.contacts.audience.words import Catalogue
from passaparola.contacts.bucketing import in_share
from passaparola.durations import parse_duration
from passaparola.journeys.times import truncate_to_minute as minute
from passaparola.store.json_values import scalar
from passaparola.store.models import Contact, Enrolment, Event, Launch
from passaparola.store.types import UtcDateTime, truncate_to_minute

COLUMNS = ["launch_id", "contact_id", "key", "event_id", "holdout", "entered_at", "due_at", "step"]


def launch_catalogue(content: dict[str, Any], known: Catalogue) -> Catalogue:
    """Return the catalogue of a launch: its frozen audiences, over what the store knows now."""
    return replace(known, audiences={**content["inside"]}, properties={})


def enrol_audience(session: Session, launch: Launch, known: Catalogue, now: datetime) -> int:
    """Enrol the members of the launch's audience; its public posts get an enrolment of their own."""
    assert launch.id is not None
    content, due = launch.content, minute(launch.due_at)
    question = Question.parse(content["audience"], launch_catalogue(content, known))
    members = (
        select(
            literal(launch.id),
            col(Contact.id),
            literal(""),
            literal(None),
            is_held_out(content, col(Contact.id)),
            literal(now, UtcDateTime()),
            literal(due, UtcDateTime()),
            literal(0),
        )
        .where(question.members(now), _reentry_allowed(content, col(Contact.id), now))
        .order_by(col(Contact.id))
    )
    session.execute(insert(Enrolment).from_select(COLUMNS, members))
    if content["public"]:
        session.add(Enrolment(launch_id=launch.id, due_at=due, entered_at=now))
        session.flush()
    mine = select(func.count()).where(col(Enrolment.launch_id) == launch.id, col(Enrolment.contact_id).is_not(None))
    people: int = session.execute(mine).scalar_one()
    return people


def _followed_already(campaign: str) -> Any:
    """Build the condition that an event already started a passage through any version of the campaign."""
    followed = (
        select(literal(1))
        .select_from(Enrolment)
        .join(Launch, col(Launch.id) == col(Enrolment.launch_id))
        .where(
            col(Enrolment.contact_id) == col(Event.contact_id),
            col(Enrolment.event_id) == col(Event.id),
            col(Launch.campaign) == campaign,
        )
    )
    return exists(followed.correlate(Event))


def enrol_from_events(session: Session, launch: Launch, since: datetime, now: datetime) -> int:
    """Enrol by events since the launch began to accept people, once per key, however often and late an event is
    recorded."""
    content, enter = launch.content, launch.content["enter"]
    key = _enrolment_key(enter)
    alike = (col(Event.contact_id), key) if enter.get("key") else (col(Event.contact_id),)
    first = func.row_number().over(partition_by=alike, order_by=(col(Event.at), col(Event.id)))
    candidates = (
        select(
            col(Event.contact_id),
            key.label("key"),
            col(Event.id).label("event_id"),
            col(Event.at),
            first.label("place"),
        )
        .join(Contact, col(Contact.id) == col(Event.contact_id))
        .where(
            col(Event.kind) == enter["on"],
            ~col(Event.machine),
            col(Event.received_at) >= since,
            col(Event.at) >= (launch.events_from or launch.started_at),
            ~_followed_already(launch.campaign),
            col(Contact.erased_at).is_(None),
            _reentry_allowed(content, col(Event.contact_id), now, key if enter.get("key") else None),
        )
        .subquery()
    )
    new: Select[Any] = select(
        literal(launch.id),
        candidates.c.contact_id,
        candidates.c.key,
        candidates.c.event_id,
        is_held_out(content, candidates.c.contact_id),
        candidates.c.at,
        truncate_to_minute(candidates.c.at),
        literal(0),
    ).where(candidates.c.place == 1)
    entered = insert(Enrolment).from_select(COLUMNS, new).returning(col(Enrolment.id))
    return len(session.execute(entered).all())


def _enrolment_key(enter: dict[str, Any]) -> ColumnElement[str]:
    """Return the key of an event's enrolment: the property named by the campaign, else the event's `source_id`. Without
    such a property: empty where re-entry is never allowed, else the event's id."""
    if not enter.get("key"):
        return literal("") if enter["again"] == "never" else cast(col(Event.id), String)
    return func.coalesce(scalar(col(Event.properties), enter["key"], "key"), col(Event.source_id))


def is_held_out(content: dict[str, Any], contact_id: object) -> ColumnElement[bool]:
    return in_share(contact_id, f"holdout of {content['campaign']}", content["holdout"])


def _reentry_allowed(
    content: dict[str, Any], contact_id: object, now: datetime, key: ColumnElement[str] | None = None
) -> ColumnElement[bool]:
    """Build the re-entry condition, over every version of the campaign."""
    rule = content["enter"]["again"]
    other, launch = _aliases()
    if content["said_once"]:
        return true()
    been = (
        select(literal(1))
        .select_from(other)
        .join(launch, launch.id == other.launch_id)
        .where(other.contact_id == contact_id, launch.campaign == content["campaign"], launch.state != "recalled")
    )
    refusals = []
    if key is not None:
        refusals.append(been.where(other.key == key))
    under_way = other.outcome.is_(None)
    if rule == "never":
        refusals.append(been)
    elif rule != "always":
        refusals.append(been.where(or_(under_way, other.entered_at > now - _reentry_pause(rule))))
    elif key is None and "on" in content["enter"]:
        refusals.append(been.where(under_way))
    return and_(true(), *(~exists(refusal.correlate(Contact, Event)) for refusal in refusals))


def _aliases() -> tuple[Any, Any]:
    return aliased(Enrolment), aliased(Launch)


def _reentry_pause(rule: str) -> timedelta:
    return parse_duration(rule.removeprefix("after "))
