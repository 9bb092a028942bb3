"""Every table, in reading order: people, what they allow, what they did, what we plan, what we send, who did what."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import JSON, BigInteger, Column, ColumnElement, Index, Integer, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel, col

from contacts.types import UtcDateTime

Json = JSON().with_variant(JSONB(), "postgresql")
# SQLite gives a row its number by itself only where the key is an INTEGER.
Key = BigInteger().with_variant(Integer(), "sqlite")


def _key() -> Any:
    return Field(default=None, sa_column=Column(Key, primary_key=True, autoincrement=True))


def _points_to(column: str, **extra: Any) -> Any:
    return Field(foreign_key=column, sa_type=BigInteger, **extra)


def _when(**extra: Any) -> Any:
    return Field(sa_type=UtcDateTime, **extra)


class Contact(SQLModel, table=True):
    """A person we may talk to. Typed traits are columns; anything custom lives in `traits`."""

    id: int | None = _key()
    first_name: str | None = None
    last_name: str | None = None
    language: str | None = Field(default=None, description="BCP 47, lower case: it, en")
    country: str | None = Field(default=None, description="ISO 3166-1 alpha-2")
    city: str | None = None
    time_zone: str | None = Field(default=None, description="IANA")
    birthday: str | None = Field(default=None, description="MM-DD: the same question on every database")
    traits: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    created_at: datetime = _when()
    updated_at: datetime = _when()
    erased_at: datetime | None = _when(default=None)


class Address(SQLModel, table=True):
    """Where a contact is reached on a medium. `value` is normalised; `key` is its keyed hash, as suppressions have it."""

    medium: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    contact_id: int = _points_to("contact.id")
    rank: int = Field(default=0, description="0 is the one that is written to")
    key: str
    verified_at: datetime | None = _when(default=None)

    __table_args__ = (Index("address_of_contact", "contact_id", "medium", "rank"),)


class Trait(SQLModel, table=True):
    """The custom traits ever seen: what the audience language may be asked about."""

    name: str = Field(primary_key=True)
    kind: str = Field(description="text, number or boolean")


class Consent(SQLModel, table=True):
    """A dated, sourced yes or no. Rows are appended, never changed; the latest one holds. Topic `*` is every topic."""

    id: int | None = _key()
    contact_id: int = _points_to("contact.id")
    medium: str
    topic: str
    granted: bool
    basis: str = Field(description="consent, soft_opt_in or transactional")
    source: str
    proof: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    at: datetime = _when()

    __table_args__ = (Index("consent_latest", "contact_id", "medium", "topic", "at", "id"),)


class Suppression(SQLModel, table=True):
    """An address never written to again. Only the keyed hash is kept, so it outlives erasure."""

    key: str = Field(primary_key=True)
    medium: str
    reason: str
    source: str
    at: datetime = _when()


class Event(SQLModel, table=True):
    """Something a contact did. `amount` is in the currency's minor units."""

    id: int | None = _key()
    contact_id: int = _points_to("contact.id")
    kind: str
    at: datetime = _when()
    received_at: datetime = _when(description="when we came to know of it; journeys listen to what is new by this")
    source: str
    source_id: str
    amount: int | None = Field(default=None, sa_type=BigInteger)
    currency: str | None = None
    properties: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))

    __table_args__ = (
        UniqueConstraint("source", "source_id", name="event_once"),
        Index("event_of_contact", "contact_id", "kind", "at"),
        Index("event_new", "kind", "received_at"),
    )


class Activity(SQLModel, table=True):
    """One row per contact and event kind, written with the event: "at least k within W" is `latest_k >= now - W`."""

    contact_id: int = _points_to("contact.id", primary_key=True)
    kind: str = Field(primary_key=True)
    count: int
    first_at: datetime = _when()
    total: int = Field(description="amounts in the house currency, minor units", sa_type=BigInteger)
    latest_1: datetime = _when()
    latest_2: datetime | None = _when(default=None)
    latest_3: datetime | None = _when(default=None)
    latest_4: datetime | None = _when(default=None)
    latest_5: datetime | None = _when(default=None)

    __table_args__ = (Index("activity_recent", "kind", "latest_1"),)


class Launch(SQLModel, table=True):
    """One time a campaign was set going, with the content frozen as it was. Approval is of `hash`."""

    id: int | None = _key()
    campaign: str
    hash: str
    wording: str = Field(
        index=True, description="the hash without the schedule: the same is never said to anyone twice"
    )
    content: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    state: str = Field(default="prepared", description="prepared, approved, running, paused, recalled or finished")
    note: str = Field(default="", description="why it stands where it stands, in a marketer's words")
    occurrence: str | None = Field(
        default=None, unique=True, description="what asked for it; asking twice makes one launch"
    )
    entering: bool = Field(default=False, description="still takes people in; one that does not only lets them finish")
    priority: int = Field(default=0, description="who goes first, and whose message is kept when people are capped")
    due_at: datetime = _when()
    late_after: int | None = Field(default=None, description="seconds after its time from which nothing is sent")
    created_at: datetime = _when()
    started_at: datetime | None = _when(default=None)
    heard_at: datetime | None = _when(default=None, description="up to when it has listened to events")
    hears_from: datetime | None = _when(default=None, description="what happened before is not followed up")
    finished_at: datetime | None = _when(default=None)

    __table_args__ = (Index("launch_of_campaign", "campaign", "id"),)


class Approval(SQLModel, table=True):
    id: int | None = _key()
    launch_id: int = _points_to("launch.id", index=True)
    hash: str
    approver: str
    comment: str = ""
    at: datetime = _when()
    expires_at: datetime = _when()


class Enrolment(SQLModel, table=True):
    """One contact's one passage through a launch. No contact: the launch's own, which carries its public posts."""

    id: int | None = _key()
    launch_id: int = _points_to("launch.id")
    contact_id: int | None = _points_to("contact.id", nullable=True, default=None)
    key: str = ""
    event_id: int | None = Field(default=None, sa_type=BigInteger, description="the event that started it")
    holdout: bool = Field(default=False, description="walks the journey and is never written to")
    entered_at: datetime = _when()
    step: int = Field(default=0, description="what comes next")
    due_at: datetime = _when(description="when; for who waits for an event, the end of patience")
    waiting: str | None = Field(default=None, description="the kind of event that is waited for")
    since: datetime | None = _when(default=None, description="from when on that event counts")
    goal_at: datetime | None = _when(default=None)
    outcome: str | None = Field(default=None, description="finished, left or moved; empty while under way")
    ended_at: datetime | None = _when(default=None)

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
    """Up to a request's worth of messages that share skeleton and fate. What is claimed is a batch, never a message."""

    id: int | None = _key()
    launch_id: int = _points_to("launch.id")
    step: int
    medium: str
    locale: str
    variant: str = ""
    number: int
    size: int
    state: str = Field(default="queued", description="queued, sending, sent, unknown or recalled")
    due_at: datetime = _when()
    late_at: datetime | None = _when(default=None, description="from when on it is too late to send")
    delayed: str = Field(default="", description="why it goes later than it was meant to, in a marketer's words")
    tries: int = Field(default=0, description="how often its messages were put off by the provider")
    fence: int = Field(default=0, description="grows with every claim; a worker that wakes up late holds an old one")
    claimed_by: str = ""
    claimed_at: datetime | None = _when(default=None)
    finished_at: datetime | None = _when(default=None)

    __table_args__ = (
        UniqueConstraint("launch_id", "step", "medium", "locale", "variant", "number", name="batch_once"),
        Index(
            "batch_open",
            "state",
            "due_at",
            postgresql_where=text("state IN ('queued', 'sending')"),
            sqlite_where=text("state IN ('queued', 'sending')"),
        ),
    )


class Message(SQLModel, table=True):
    """One content to one contact (or to the public) on one medium.

    `state` is empty while the message shares its batch's fate, which is why a thousand of them are claimed and
    recorded by writing one row; held, failed and unknown ones carry their own, with the reason.
    """

    # No foreign keys: with them a million rows take eight times as long to plan.
    enrolment_id: int = Field(primary_key=True, sa_type=BigInteger)
    step: int = Field(primary_key=True)
    medium: str = Field(primary_key=True)
    batch_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    state: str | None = None
    reason: str | None = None
    receipt: str | None = Field(default=None, description="the provider's id, where one message has one of its own")

    __table_args__ = ({"sqlite_with_rowid": False},)


class Attempt(SQLModel, table=True):
    """One call to a provider for a batch, written down before it is made."""

    id: int | None = _key()
    batch_id: int = _points_to("batch.id", index=True)
    fence: int
    channel: str
    size: int
    started_at: datetime = _when()
    finished_at: datetime | None = _when(default=None)
    outcome: str | None = Field(
        default=None, description="accepted, refused, unavailable or unknown; empty while in the air"
    )
    detail: str = ""
    receipt: str | None = None


class Intake(SQLModel, table=True):
    """A body as it came in through the door, kept before it was answered. What it says is applied afterwards."""

    id: int | None = _key()
    source: str
    key: str = Field(description="the sender's name of it: the same body sent again is the same row")
    received_at: datetime = _when(index=True)
    headers: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    body: bytes
    state: str = Field(default="new", description="new, applied, ignored (nothing for us) or odd (not understood)")
    problem: str = Field(default="", description="what was not understood")
    applied_at: datetime | None = _when(default=None)

    __table_args__ = (
        UniqueConstraint("source", "key", name="intake_once"),
        Index("intake_new", "id", postgresql_where=text("state = 'new'"), sqlite_where=text("state = 'new'")),
    )


class Audit(SQLModel, table=True):
    """Who did what, written in the transaction that did it."""

    id: int | None = _key()
    at: datetime = _when()
    actor: str
    action: str
    subject: str = Field(description="launch:7, batch:12, contact:9")
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))

    __table_args__ = (Index("audit_of_subject", "subject", "id"),)


def wording_of(content: dict[str, Any], due_at: datetime | None = None) -> str:
    """The hash of a launch's content. With its schedule it is what is approved; without, the same wording is known again."""
    whole = {**content, "due_at": due_at.astimezone(UTC).isoformat()} if due_at else content
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()


def message_state() -> ColumnElement[str]:
    """What a message is at: its own state, or its batch's."""
    return func.coalesce(col(Message.state), col(Batch.state))
