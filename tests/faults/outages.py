"""A database that is away, full, or at odds with itself, as the engine meets it."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from passaparola.store.database import Store
from tests.conftest import _as_admin


@contextmanager
def away(store: Store) -> Iterator[None]:
    """PostgreSQL drops every connection and lets nobody in; of SQLite somebody else holds the only lock."""
    if store.on_sqlite:
        holder = sqlite3.connect(make_url(store.url).database or "", isolation_level=None, timeout=30)
        holder.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            holder.execute("ROLLBACK")
            holder.close()
        return
    name = make_url(store.url).database
    _as_admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    _as_admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    try:
        yield
    finally:
        _as_admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@contextmanager
def refusing(store: Store, share: float, words: str = "database is locked", seed: int = 7) -> Iterator[list[str]]:
    """A part of all statements that write is refused by the driver. What was refused is listed."""
    dice, refused = random.Random(seed), []

    def refuse(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE", "WITH")) and dice.random() < share:
            refused.append(statement)
            raise OperationalError(statement, {}, sqlite3.OperationalError(words))

    event.listen(store.engine, "before_cursor_execute", refuse)
    try:
        yield refused
    finally:
        event.remove(store.engine, "before_cursor_execute", refuse)
