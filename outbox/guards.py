"""The reasons not to send, in order; the first one is written to the message in a marketer's words.

They are one SQL expression over (enrolment, contact, address), so that a preview, a plan and a reservation ask the
very same question, the last of them in the transaction that reserves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, null, select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col
from whenever import Date, Time

from contacts.audience.compile import latest_consent
from contacts.conversations.care import BEFORE_SELLING
from contacts.models import Address, Batch, Contact, Conversation, Enrolment, Launch, Message, Suppression
from settings import Settings

CARE_FIRST = "care first: "


@dataclass(frozen=True)
class Cap:
    """The most marketing messages one contact gets in a span, over all campaigns and media."""

    most: int
    days: int

    @classmethod
    def of(cls, settings: Settings) -> "Cap | None":
        if not settings.frequency_cap:
            return None
        most, _, days, _ = settings.frequency_cap.split()
        return cls(int(most), int(days))


@dataclass(frozen=True)
class Asked:
    """What is about to be said: on a medium, about a topic, after earlier launches of the very same wording."""

    medium: str
    topic: str
    twins: tuple[int, ...] = ()
    before: tuple[int, ...] = ()  # launches that go first where people are capped
    answers: bool = False  # it answers what they asked or said, so it is no marketing

    @classmethod
    def of(cls, session: Session, launch: Launch, medium: str) -> "Asked":
        return cls.again(session, launch.content, launch.wording, medium, launch.id)

    @classmethod
    def again(
        cls, session: Session, content: Mapping[str, Any], wording: str, medium: str, itself: int | None = None
    ) -> "Asked":
        """Also of a launch that is not there yet: `content` is what would be frozen."""
        found = select(col(Launch.id)).where(col(Launch.id) != (itself or -1))
        twins = found.where(col(Launch.wording) == wording) if content["said_once"] else None
        before = found.where(col(Launch.priority) > content["priority"], col(Launch.state) == "running")
        answers = content.get("basis") == "transactional"
        return cls(medium, content["topic"], _ids(session, twins), _ids(session, before), answers)


def _ids(session: Session, chosen: Select[Any] | None) -> tuple[int, ...]:
    return tuple(session.execute(chosen).scalars()) if chosen is not None else ()


def too_late(seconds: int) -> str:
    hours = round(seconds / 3600, 1)
    return f"too late: more than {hours:g} hour{'' if hours == 1 else 's'}"


def reason(asked: Asked, cap: Cap | None, now: datetime) -> ColumnElement[Any]:
    """NULL for whoever may be written to."""
    medium, topic = asked.medium, asked.topic
    consent = latest_consent(col(Contact.id), medium, literal(topic))
    suppressed = select(col(Suppression.reason)).where(col(Suppression.key) == col(Address.key)).scalar_subquery()
    checks: list[tuple[Any, Any]] = [
        (col(Address.value).is_(None), literal(f"no {medium} address")),
        (col(Contact.erased_at).is_not(None), literal("asked to be forgotten")),
        (suppressed.is_not(None), literal("suppressed: ") + suppressed),
    ]
    if asked.answers:
        return case(*checks, else_=null())
    care, weekly = _in_care(), _recent(now - timedelta(days=7))
    checks += [
        (consent.is_(None), literal(f"never said yes to {topic} by {medium}")),
        (consent.is_(False), literal(f"said no to {topic} by {medium}")),
        (col(Contact.paused_until) > now, literal("asked for a pause")),
        (care.is_not(None), literal(CARE_FIRST + "an open ") + care),
        (
            and_(col(Contact.weekly_most).is_not(None), weekly >= col(Contact.weekly_most)),
            literal("wants fewer messages a week"),
        ),
    ]
    if asked.twins:
        checks.append((_had(asked), literal("already had this very message")))
    if cap:
        recent = _recent(now - timedelta(days=cap.days))
        checks.append((recent >= cap.most, literal(f"had {cap.most} messages in {cap.days} days")))
        if asked.before:
            kept = literal(f"the last of {cap.most} messages in {cap.days} days is kept for a campaign that goes first")
            checks.append((recent + _to_come(asked.before) >= cap.most, kept))
    return case(*checks, else_=null())


def _in_care() -> ColumnElement[Any]:
    """What is open between us and them that goes before any selling; NULL where nothing is."""
    open_ = select(func.replace(col(Conversation.kind), "_", " ")).where(
        col(Conversation.contact_id) == col(Contact.id), col(Conversation.state) != "closed",
        col(Conversation.kind).in_(BEFORE_SELLING),
    )  # fmt: skip
    return open_.order_by(col(Conversation.priority).desc()).limit(1).correlate(Contact).scalar_subquery()


def _had(asked: Asked) -> ColumnElement[bool]:
    """Whoever runs the same send twice writes to nobody twice."""
    other, message, batch = aliased(Enrolment), aliased(Message), aliased(Batch)
    return (
        _to_this_contact(select(literal(1)), other, message, batch)
        .where(
            other.launch_id.in_(asked.twins),  # type: ignore[attr-defined]
            message.medium == asked.medium,  # type: ignore[arg-type]
            func.coalesce(message.state, batch.state).in_(["queued", "sending", "sent", "unknown"]),
        )
        .correlate(Contact)
        .exists()
    )


def _recent(since: datetime) -> ColumnElement[int]:
    """Messages that went out, are going out or may have gone out to this contact, whatever the campaign."""
    other, message, batch = aliased(Enrolment), aliased(Message), aliased(Batch)
    return (
        _to_this_contact(select(func.count()), other, message, batch)
        .where(
            func.coalesce(message.state, batch.state).in_(["sending", "sent", "unknown"]),
            func.coalesce(batch.finished_at, batch.claimed_at) >= since,
            batch.launch_id.not_in(_answers()),  # type: ignore[attr-defined]
        )
        .correlate(Contact)
        .scalar_subquery()
    )


def _answers() -> Select[Any]:
    """Launches that are no marketing and count for no cap."""
    return select(col(Launch.id)).where(col(Launch.campaign).startswith("_", autoescape=True))


def _to_come(launches: tuple[int, ...]) -> ColumnElement[int]:
    """What those launches have ready for this contact."""
    other, message, batch = aliased(Enrolment), aliased(Message), aliased(Batch)
    return (
        _to_this_contact(select(func.count()), other, message, batch)
        .where(
            batch.launch_id.in_(launches),  # type: ignore[attr-defined]
            batch.state == "queued",  # type: ignore[arg-type]
            message.state.is_(None),  # type: ignore[union-attr]
        )
        .correlate(Contact)
        .scalar_subquery()
    )


def _to_this_contact(chosen: Select[Any], other: Any, message: Any, batch: Any) -> Select[Any]:
    return (
        chosen.select_from(other)
        .join(message, message.enrolment_id == other.id)
        .join(batch, batch.id == message.batch_id)
        .where(other.contact_id == col(Contact.id))
    )


def reachable(medium: str) -> ColumnElement[bool]:
    """The join condition of the address that is written to."""
    return and_(col(Address.contact_id) == col(Contact.id), col(Address.medium) == medium, col(Address.rank) == 0)


def quiet_until(hours: str, zone: str, now: datetime) -> datetime | None:
    """When the quiet hours end that a clock is in; None where they are not on. `hours` is like 21:00-08:30."""
    if not hours:
        return None
    start, end = (time.fromisoformat(edge) for edge in hours.split("-"))
    local = now.astimezone(ZoneInfo(zone))
    within = start <= local.time() < end if start < end else not end <= local.time() < start
    if not within:
        return None
    day = local.date() if local.time() < end else local.date() + timedelta(days=1)
    wake = Date(day.year, day.month, day.day).at(Time(end.hour, end.minute))
    return datetime.fromtimestamp(wake.assume_tz(zone, disambiguation="compatible").timestamp(), tz=now.tzinfo)
