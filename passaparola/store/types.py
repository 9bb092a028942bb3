"""Instants that mean the same on SQLite and PostgreSQL, and SQL functions on them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An instant. `timestamptz` on PostgreSQL; on SQLite, which has none, text in UTC that sorts as time does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        at: datetime = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return at


class truncate_to_minute(FunctionElement[datetime]):
    """The minute that an instant lies in."""

    type = UtcDateTime()
    inherit_cache = True


class add_seconds(FunctionElement[datetime]):
    """An instant so many seconds after another; whole milliseconds on SQLite."""

    type = UtcDateTime()
    inherit_cache = True


class unindexed(FunctionElement[Any]):
    """A column whose index SQLite is not to use:
    https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_"""

    inherit_cache = True


@compiles(unindexed, "postgresql")
def _as_it_is(element: unindexed, compiler: SQLCompiler, **kw: object) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(unindexed, "sqlite")
def _with_a_plus(element: unindexed, compiler: SQLCompiler, **kw: object) -> str:
    return f"+{compiler.process(element.clauses, **kw)}"


@compiles(truncate_to_minute, "postgresql")
def _minute_on_postgresql(element: truncate_to_minute, compiler: SQLCompiler, **kw: object) -> str:
    return f"date_trunc('minute', {compiler.process(element.clauses, **kw)})"


@compiles(truncate_to_minute, "sqlite")
def _minute_on_sqlite(element: truncate_to_minute, compiler: SQLCompiler, **kw: object) -> str:
    return f"strftime('%Y-%m-%d %H:%M:00.000000', {compiler.process(element.clauses, **kw)})"


@compiles(add_seconds, "postgresql")
def _later_on_postgresql(element: add_seconds, compiler: SQLCompiler, **kw: object) -> str:
    at, seconds = (compiler.process(part, **kw) for part in element.clauses)
    return f"({at} + make_interval(secs => {seconds}))"


@compiles(add_seconds, "sqlite")
def _later_on_sqlite(element: add_seconds, compiler: SQLCompiler, **kw: object) -> str:
    at, seconds = (compiler.process(part, **kw) for part in element.clauses)
    return f"(strftime('%Y-%m-%d %H:%M:%f', {at}, {seconds} || ' seconds') || '000')"
