"""How every table is built: its own number, what it points to, instants in UTC, JSON on both databases."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from passaparola.store.types import UtcDateTime

Json = JSON().with_variant(JSONB(), "postgresql")
# SQLite gives a row its number by itself only where the key is an INTEGER.
BigKey = BigInteger().with_variant(Integer(), "sqlite")


def primary_key() -> Any:
    return Field(default=None, sa_column=Column(BigKey, primary_key=True, autoincrement=True))


def foreign_key(column: str, **extra: Any) -> Any:
    return Field(foreign_key=column, sa_type=BigInteger, **extra)


def instant(**extra: Any) -> Any:
    return Field(sa_type=UtcDateTime, **extra)


def json(kind: Any = dict, **extra: Any) -> Any:
    return Field(default_factory=kind, sa_column=Column(Json, nullable=False, **extra))
