"""Tables of what we plan and send: launches, their enrolments, and the ledger of every message."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, ColumnElement, Index, Select, UniqueConstraint, func, select, text
from sqlmodel import Field, SQLModel, col

from passaparola.store.models.base import Json, foreign_key, instant, primary_key
from passaparola.store.states import MessageState


class Launch(SQLModel, table=True):
    """One time a campaign was started, with the content frozen as it was. Approval is of `hash`."""

    id: int | None = primary_key()
    campaign: str
    hash: str
    wording: str = Field(description="the hash without the schedule: what is looked at is what is sent")
    content: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    state: str = Field(default="prepared", description="prepared, approved, running, paused, recalled or finished")
    note: str = Field(default="", description="why it stands where it stands, in a marketer's words")
    occurrence: str | None = Field(
        default=None, unique=True, description="what asked for it; asking twice makes one launch"
    )
    accepting: bool = Field(default=False, description="still takes people in; one that does not only lets them finish")
    transactional: bool = Field(default=False, description="of what somebody ordered or asked for: no marketing")
    priority: int = Field(default=0, description="who goes first, and whose message is kept when people are capped")
    due_at: datetime = instant()
    late_after: int | None = Field(default=None, description="seconds after its time from which nothing is sent")
    created_at: datetime = instant()
    started_at: datetime | None = instant(default=None)
    events_cursor: datetime | None = instant(default=None, description="up to when it has listened to events")
    events_from: datetime | None = instant(default=None, description="what happened before is not followed up")
    finished_at: datetime | None = instant(default=None)

    __table_args__ = (Index("launch_of_campaign", "campaign", "id"),)


class Approval(SQLModel, table=True):
    id: int | None = primary_key()
    launch_id: int = foreign_key("launch.id", index=True)
    hash: str
    approver: str
    comment: str = ""
    at: datetime = instant()
    expires_at: datetime = instant()


class Enrolment(SQLModel, table=True):
    """One contact's one passage through a launch. No contact: the launch's own, which carries its public posts."""

    # No foreign keys: with them half of an INSERT … SELECT's time goes to looking up one launch a million times.
    id: int | None = primary_key()
    launch_id: int = Field(sa_type=BigInteger)
    contact_id: int | None = Field(default=None, sa_type=BigInteger)
    key: str = ""
    event_id: int | None = Field(default=None, sa_type=BigInteger, description="the event that started it")
    holdout: bool = Field(default=False, description="walks the journey and is never written to")
    entered_at: datetime = instant()
    step: int = Field(default=0, description="what comes next")
    due_at: datetime = instant(description="when; for who waits for an event, the end of patience")
    waiting: str | None = Field(default=None, description="the kind of event that is waited for")
    since: datetime | None = instant(default=None, description="from when on that event counts")
    goal_at: datetime | None = instant(default=None)
    outcome: str | None = Field(default=None, description="finished, left, moved or recalled; empty while under way")
    ended_at: datetime | None = instant(default=None)

    __table_args__ = (
        # The contact first, so that the same index answers "everything this person was in".
        UniqueConstraint("contact_id", "launch_id", "key", name="enrolment_once"),
        Index(
            "enrolment_due",
            "launch_id",
            "step",
            "due_at",
            postgresql_where=text("outcome IS NULL"),
            sqlite_where=text("outcome IS NULL"),
        ),
        Index("enrolment_of_launch", "launch_id"),
    )


class Batch(SQLModel, table=True):
    """Up to a request's worth of messages that share skeleton and state. What is claimed is a batch, never a
    message."""

    id: int | None = primary_key()
    launch_id: int = foreign_key("launch.id")
    step: int
    medium: str
    locale: str
    variant: str = ""
    wording: str = Field(
        default="", description="the hash of what is read, by which the same is never said to anyone twice"
    )
    number: int
    size: int
    state: str = Field(default=MessageState.QUEUED, description="queued, sending, sent, unknown or recalled")
    due_at: datetime = instant()
    late_at: datetime | None = instant(default=None, description="from when on it is too late to send")
    delayed: str = Field(default="", description="why it goes later than it was meant to, in a marketer's words")
    tries: int = Field(default=0, description="how often its messages were put off by the provider")
    fence: int = Field(default=0, description="grows with every claim; a worker that wakes up late holds an old one")
    claimed_by: str = ""
    claimed_at: datetime | None = instant(default=None)
    finished_at: datetime | None = instant(default=None)

    __table_args__ = (
        UniqueConstraint("launch_id", "step", "medium", "locale", "variant", "number", name="batch_once"),
        Index("batch_wording", "wording", "launch_id"),
        Index(
            "batch_unknown", "id", postgresql_where=text("state = 'unknown'"), sqlite_where=text("state = 'unknown'")
        ),
        Index(
            "batch_open",
            "state",
            "due_at",
            "id",
            postgresql_where=text("state IN ('queued', 'sending')"),
            sqlite_where=text("state IN ('queued', 'sending')"),
        ),
    )


class Message(SQLModel, table=True):
    """One content to one contact (or to the public) on one medium.

    `state` is empty while the message shares its batch's, which is why a thousand of them are claimed and recorded
    by writing one row; held, failed and unknown ones carry their own, with the reason.
    """

    # No foreign keys: with them a million rows take eight times as long to plan.
    enrolment_id: int = Field(primary_key=True, sa_type=BigInteger)
    step: int = Field(primary_key=True)
    medium: str = Field(primary_key=True)
    batch_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    state: str | None = None
    reason: str | None = None
    receipt: str | None = Field(default=None, description="the provider's id, where one message has one of its own")

    __table_args__ = (
        # Asked for twice a second; as a rule there is nothing in it.
        Index(
            "message_unknown",
            "batch_id",
            postgresql_where=text("state = 'unknown'"),
            sqlite_where=text("state = 'unknown'"),
        ),
        {"sqlite_with_rowid": False},
    )


class Attempt(SQLModel, table=True):
    """One call to a provider for a batch, written down before it is made."""

    id: int | None = primary_key()
    batch_id: int = foreign_key("batch.id", index=True)
    fence: int
    channel: str
    size: int
    started_at: datetime = instant()
    finished_at: datetime | None = instant(default=None)
    outcome: str | None = Field(
        default=None, description="accepted, refused, unavailable or unknown; empty while in the air"
    )
    detail: str = ""
    receipt: str | None = None


class ChannelBackoff(SQLModel, table=True):
    """Until when a provider asked us to leave its channel alone: every call through that channel waits, not one
    batch alone."""

    __tablename__ = "channel_backoff"

    channel: str = Field(primary_key=True)
    until: datetime = instant()


class ChannelIncident(SQLModel, table=True):
    """What keeps a channel from sending, which pauses it, or from receiving; deleted as soon as it is mended."""

    __tablename__ = "channel_incident"

    channel: str = Field(primary_key=True)
    direction: str = Field(primary_key=True, description="sending or receiving")
    since: datetime = instant()
    reason: str
    notified_at: datetime | None = instant(default=None, description="when whoever runs this was told")


def wording_hash(content: dict[str, Any], due_at: datetime | None = None) -> str:
    """Hash a launch's content: with its schedule it is what is approved, without it what was looked at."""
    whole = {**content, "due_at": due_at.astimezone(UTC).isoformat()} if due_at else content
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()


def select_messages(*columns: Any) -> Select[Any]:
    """Select messages joined to their enrolment and, if any, their batch, as `message_state` needs."""
    return (
        select(*columns)
        .select_from(Message)
        .join(Enrolment, col(Enrolment.id) == col(Message.enrolment_id))
        .outerjoin(Batch, col(Batch.id) == col(Message.batch_id))
    )


def message_state() -> ColumnElement[str]:
    """Return a message's state: its own, or its batch's."""
    return func.coalesce(col(Message.state), col(Batch.state))
