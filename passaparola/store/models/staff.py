"""Who works here and who did what."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from passaparola.store.models.base import instant, json, primary_key


class Audit(SQLModel, table=True):
    """Who did what, written in the transaction that did it."""

    id: int | None = primary_key()
    at: datetime = instant()
    actor: str
    action: str
    subject: str = Field(description="launch:7, batch:12, contact:9")
    detail: dict[str, Any] = json()

    number: int | None = Field(default=None, sa_type=BigInteger, description="its place in the chain")
    link: str | None = Field(default=None, description="the hash of this row and of the link before it")

    __table_args__ = (Index("audit_of_subject", "subject", "id"), UniqueConstraint("number", name="audit_number"))


class Seal(SQLModel, table=True):
    """The end of the audit's chain, so that rows cut off its end are noticed."""

    id: int = Field(primary_key=True, default=1)
    number: int = Field(sa_type=BigInteger)
    link: str
    at: datetime = instant()


class Staff(SQLModel, table=True):
    """A member of staff. `session_key` changes with password, role and dismissal, which ends their sessions."""

    name: str = Field(primary_key=True)
    role: str = Field(description="reader, care, marketer or admin")
    password: str = Field(description="argon2")
    session_key: str
    active: bool = True
    created_at: datetime = instant()
