"""Thousands of rows at once, as each database takes them fastest: COPY and arrays on PostgreSQL, its own executemany
and JSON on SQLite. An ORM's way of the same costs six to thirty times as much."""

import gc
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    CursorResult,
    Delete,
    Dialect,
    Table,
    Update,
    any_,
    func,
    inspect,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Session, SQLModel

from passaparola.store.types import UtcDateTime


def on_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def table_of(model: type[SQLModel]) -> Table:
    """Return a model's table, for statements that the ORM has no part in."""
    return cast(Table, inspect(model).local_table)


def execute_update(session: Session, statement: Update | Delete) -> int:
    """Execute an UPDATE or DELETE and return how many rows it changed. Objects of the session are not brought up to
    date."""
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return cast(CursorResult[Any], result).rowcount


def in_values(session: Session, column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """Build `column IN values` with one parameter, however many there are."""
    if on_postgresql(session):
        clause: ColumnElement[bool] = column == any_(literal(list(values), ARRAY(column.type)))
        return clause
    listed = func.json_each(orjson.dumps(list(values)).decode()).table_valued("value")
    inside: ColumnElement[bool] = column.in_(select(listed.c.value))
    return inside


def insert_many(session: Session, model: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of the same columns, among them all that the table requires."""
    if not rows:
        return
    session.flush()
    table = table_of(model)
    connection = session.connection()
    names = list(rows[0])
    readied = [_bind_processor(table.c[name].type, connection.dialect) for name in names]
    quoted = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in names)
    driver: Any = connection.connection.driver_connection
    columns = [
        [ready(row[name]) for row in rows] if ready else [row[name] for row in rows]
        for name, ready in zip(names, readied, strict=True)
    ]
    values = zip(*columns, strict=True)
    if connection.dialect.name == "postgresql":
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({quoted}) FROM STDIN") as copy:
            for row in values:
                copy.write_row(row)
    else:
        marks = ", ".join("?" * len(names))
        driver.executemany(f"INSERT INTO {table.name} ({quoted}) VALUES ({marks})", values)


def allocate_ids(session: Session, model: type[SQLModel], count: int) -> list[int]:
    """Allocate ids for rows to be inserted. SQLite has one writer at a time, so the next ones are ours."""
    table = model.__tablename__
    if on_postgresql(session):
        drawn = text(f"SELECT nextval('{table}_id_seq') FROM generate_series(1, :count)")
        return list(session.execute(drawn, {"count": count}).scalars())
    session.flush()
    last = session.execute(text(f"SELECT coalesce(max(id), 0) FROM {table}")).scalar_one()
    return list(range(last + 1, last + 1 + count))


def _sqlite_text(at: datetime | None) -> str | None:
    """Format an instant as SQLAlchemy writes it for SQLite, in one call."""
    return at.astimezone(UTC).isoformat(" ", "microseconds")[:26] if at else None


def _bind_processor(kind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    if isinstance(kind.dialect_impl(dialect), JSON):
        return lambda value: orjson.dumps(value).decode()
    if isinstance(kind, UtcDateTime):
        return _sqlite_text if dialect.name == "sqlite" else None
    processor: Callable[[Any], Any] | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return processor


_gc_lock, _usual, _busy = threading.Lock(), gc.get_threshold(), 0


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """Relax garbage collection during bulk work. Rows by the thousand are short-lived objects and no cycles; without
    this the collector walks everything ever imported again and again, a third of the time.
    https://docs.python.org/3/library/gc.html#gc.freeze"""
    global _busy
    with _gc_lock:
        if not _busy:
            gc.freeze()
            gc.set_threshold(100_000, 50, 50)
        _busy += 1
    try:
        yield
    finally:
        with _gc_lock:
            _busy -= 1
            if not _busy:
                gc.set_threshold(*_usual)
                gc.unfreeze()
