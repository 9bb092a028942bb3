"""Tables of contacts: who they are, where they are reached, what they allow, and which are one person."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from passaparola.store.models.base import foreign_key, instant, json, primary_key


class Contact(SQLModel, table=True):
    """A person we may talk to. Typed traits are columns; anything custom lives in `traits`."""

    id: int | None = primary_key()
    first_name: str | None = None
    last_name: str | None = None
    language: str | None = Field(default=None, description="BCP 47, lower case: it, en")
    country: str | None = Field(default=None, description="ISO 3166-1 alpha-2")
    city: str | None = None
    time_zone: str | None = Field(default=None, description="IANA")
    birthday: str | None = Field(default=None, description="MM-DD: the same question on every database")
    traits: dict[str, Any] = json()
    sources: dict[str, Any] = json(server_default="{}")  # field → {by, at}: who told us, as far as we were told
    max_per_week: int | None = Field(default=None, description="how many messages a week they want at most")
    paused_until: datetime | None = instant(default=None, description="until when they asked for quiet")
    lifecycle: str | None = Field(default=None, description="lead, fan, customer or advocate")
    participation: str | None = Field(default=None, description="reader, contributor or creator")
    created_at: datetime = instant()
    updated_at: datetime = instant()
    erased_at: datetime | None = instant(default=None)
    merged_into: int | None = Field(default=None, sa_type=BigInteger, description="who this turned out to be")

    # What questions ask of those who are still here, without their custom traits; SQLite would not use it.
    __table_args__ = (
        Index(
            "contact_alive",
            "id",
            postgresql_include=["country", "language", "city", "lifecycle", "participation"],
            postgresql_where=text("erased_at IS NULL AND merged_into IS NULL"),
        ).ddl_if(dialect="postgresql"),
    )


class Address(SQLModel, table=True):
    """Where a contact is reached on a medium. `value` is normalised; `key` is its keyed hash, as suppressions have
    it."""

    medium: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    contact_id: int = foreign_key("contact.id")
    rank: int = Field(default=0, description="0 is the one that is written to")
    key: str
    verified_at: datetime | None = instant(default=None)

    __table_args__ = (Index("address_of_contact", "contact_id", "medium", "rank"), Index("address_by_key", "key"))


class Trait(SQLModel, table=True):
    """The custom traits ever seen: what the audience language may be asked about."""

    name: str = Field(primary_key=True)
    kind: str = Field(description="text, number or boolean")


class Consent(SQLModel, table=True):
    """A dated, sourced yes or no. Rows are appended, never changed; the latest one holds. Topic `*` is every topic."""

    id: int | None = primary_key()
    contact_id: int = foreign_key("contact.id")
    medium: str
    topic: str
    granted: bool
    basis: str = Field(description="consent, soft_opt_in or transactional")
    source: str
    proof: dict[str, Any] = json()
    at: datetime = instant()

    __table_args__ = (Index("consent_latest", "contact_id", "medium", "topic", "at", "id", "granted"),)


class Suppression(SQLModel, table=True):
    """An address never written to again. Only the keyed hash is kept, so it outlives erasure."""

    key: str = Field(primary_key=True)
    medium: str
    reason: str
    source: str
    at: datetime = instant()


class Merge(SQLModel, table=True):
    """Two rows that were one person. `moved` and `before` are all that it takes to undo it."""

    __tablename__ = "merging"

    id: int | None = primary_key()
    kept_id: int = foreign_key("contact.id", index=True)
    merged_id: int = foreign_key("contact.id", index=True)
    at: datetime = instant()
    actor: str
    reasons: list[str] = json(list)
    moved: dict[str, Any] = json()  # table → keys of the rows that changed hands
    before: dict[str, Any] = json()  # the kept row's fields as they were
    fields: dict[str, Any] = json()  # field → which of the two it was taken from, and why
    undone_at: datetime | None = instant(default=None)


class Proposal(SQLModel, table=True):
    """Two rows that may be one person: a score, the reasons, and what somebody decided."""

    id: int | None = primary_key()
    one_id: int = foreign_key("contact.id")
    other_id: int = foreign_key("contact.id", index=True)
    score: float
    reasons: list[str] = json(list)
    state: str = Field(default="open", description="open, accepted or refused")
    at: datetime = instant()
    decided_by: str = ""

    __table_args__ = (UniqueConstraint("one_id", "other_id", name="proposal_once"),)


class SignUp(SQLModel, table=True):
    """A request to be written to, confirmed or not yet: both halves of the proof."""

    __tablename__ = "sign_up"

    id: int | None = primary_key()
    contact_id: int | None = foreign_key("contact.id", index=True, nullable=True, default=None)
    medium: str
    address: str = Field(description="as it was typed; emptied once it is a contact's")
    language: str = ""
    topics: list[str] = json(list)
    proof: dict[str, Any] = json()  # which words were shown, where, from which network address
    asked_at: datetime = instant()
    confirmed_at: datetime | None = instant(default=None)
    state: str = Field(default="asked", description="asked, written to, confirmed, or ignored")
    made_contact: bool = Field(default=False, description="the contact came of it, and goes with it when unconfirmed")

    __table_args__ = (Index("sign_up_asked", "state", "asked_at"),)
