"""Tables of what came in, and of what it says that people did."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from passaparola.store.models.base import instant, json, primary_key


class RawBody(SQLModel, table=True):
    """A delivery as it came, stored before it was answered. What it says is applied afterwards."""

    __tablename__ = "raw_body"

    id: int | None = primary_key()
    source: str
    key: str = Field(description="the sender's name of it: the same body sent again is the same row")
    received_at: datetime = instant(index=True)
    headers: dict[str, Any] = json()
    body: bytes
    urgent: bool = Field(default=False, description="holds a no, a complaint or a hard bounce that is not applied yet")
    state: str = Field(
        default="new", description="new, applied, ignored (nothing for us), waiting (for its order) or invalid"
    )
    problem: str = Field(default="", description="what was not understood")
    applied_at: datetime | None = instant(default=None)

    __table_args__ = (
        UniqueConstraint("source", "key", name="raw_body_once"),
        Index("raw_body_new", "id", postgresql_where=text("state = 'new'"), sqlite_where=text("state = 'new'")),
        Index("raw_body_urgent", "id", postgresql_where=text("urgent"), sqlite_where=text("urgent")),
    )


class LinkEvent(SQLModel, table=True):
    """A followed link of ours as it came: a click, an open, a share or a tap. It becomes an event, judged whether a
    person made it, and is deleted with that."""

    __tablename__ = "link_event"

    id: int | None = primary_key()
    kind: str
    source: str
    enrolment_id: int = Field(sa_type=BigInteger)
    step: int
    medium: str
    which: str = Field(description="which link of the message: the same one in the same minute is one event")
    at: datetime = instant()
    bot_reason: str = Field(default="", description="why it is no person's doing, as far as the request says so")
    properties: dict[str, Any] = json()


class Event(SQLModel, table=True):
    """Something a contact did, or what a provider tells of a message to them. `amount` is in minor units.

    What comes back of a message names it by `enrolment_id`, `step` and `medium`. `machine`: a scanner or a prefetch did
    it, which never counts as a person. On PostgreSQL a partition holds what came to be known in one month.
    """

    # No foreign key, as in Enrolment: a contact is erased, but its row stays.
    id: int | None = primary_key()
    contact_id: int = Field(sa_type=BigInteger)
    kind: str
    at: datetime = instant()
    received_at: datetime = instant(description="when we came to know of it; journeys listen to what is new by this")
    source: str
    source_id: str
    amount: int | None = Field(default=None, sa_type=BigInteger)
    currency: str | None = None
    properties: dict[str, Any] = json()
    enrolment_id: int | None = Field(default=None, sa_type=BigInteger)
    step: int | None = None
    medium: str | None = None
    machine: bool = False

    __table_args__ = (
        Index("event_by_name", "source_id"),
        Index(
            "event_of_message",
            "enrolment_id",
            "step",
            "kind",
            postgresql_where=text("enrolment_id IS NOT NULL"),
            sqlite_where=text("enrolment_id IS NOT NULL"),
        ),
        Index("event_of_contact", "contact_id", "kind", "at"),
        Index("event_new", "kind", "received_at"),
    )


class EventName(SQLModel, table=True):
    """The identities of all events, so that one that is recorded again is known; a partitioned table can't be
    unique by them."""

    __tablename__ = "event_name"

    source: str = Field(primary_key=True)
    source_id: str = Field(primary_key=True)

    __table_args__ = ({"sqlite_with_rowid": False},)


class KnownProperty(SQLModel, table=True):
    """The properties of events ever seen, and of which type: what a question may ask of them."""

    __tablename__ = "known_property"

    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    type: str = Field(primary_key=True, description="text, number, boolean or list")


class Activity(SQLModel, table=True):
    """One row per contact and event kind, written with the event: "at least k within W" is `latest_k >= now - W`."""

    contact_id: int = Field(primary_key=True, sa_type=BigInteger)
    kind: str = Field(primary_key=True)
    count: int
    first_at: datetime = instant()
    total: int = Field(description="amounts in the house currency, minor units", sa_type=BigInteger)
    latest_1: datetime = instant()
    latest_2: datetime | None = instant(default=None)
    latest_3: datetime | None = instant(default=None)
    latest_4: datetime | None = instant(default=None)
    latest_5: datetime | None = instant(default=None)

    # All that a question of an audience reads, so that it need not look at the rows.
    __table_args__ = (Index("activity_recent", "kind", *(f"latest_{n}" for n in range(1, 6)), "count", "contact_id"),)


class PollCursor(SQLModel, table=True):
    """How far each polled channel has been read."""

    __tablename__ = "poll_cursor"

    source: str = Field(primary_key=True)
    since: str = Field(default="", description="the provider's own mark: an id, a UID, a file's name")
    at: datetime = instant()
    problem: str = ""
