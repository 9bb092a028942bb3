"""Monthly partitions of events on PostgreSQL, by when they were received; old ones are detached in one statement.

https://www.postgresql.org/docs/current/ddl-partitioning.html. On SQLite there is one table, and nothing to do.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session
from whenever import YearMonth

from passaparola.errors import NotAllowed, Unknown, did_you_mean
from passaparola.store.database import Store, audit

MONTHS_AHEAD = 3  # months for which there is a place already, should nobody look for a while
BEFORE, BEYOND = "event_before", "event_beyond"
PARTS = """
SELECT child.relname, pg_get_expr(child.relpartbound, child.oid), greatest(child.reltuples, 0)::bigint,
       pg_size_pretty(pg_total_relation_size(child.oid))
FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent
WHERE parent.relname = 'event' ORDER BY child.relname
"""


@dataclass(frozen=True)
class Partition:
    """One partition; `estimated_events` is PostgreSQL's last estimate."""

    name: str
    bounds: str
    estimated_events: int
    size: str


def list_partitions(store: Store) -> list[Partition]:
    if store.on_sqlite:
        return []
    with store.read() as session:
        return _partitions(session)


def _partitions(session: Session) -> list[Partition]:
    return [Partition(*row) for row in session.execute(text(PARTS))]


def create_ahead(store: Store, now: datetime) -> list[str]:
    """Create the partitions of the months to come. Return the new ones."""
    if store.on_sqlite:
        return []
    made = []
    with store.write() as session:
        there = {part.name: part.bounds for part in _partitions(session)}
        until = re.search(r"TO \('([^']+)'\)", there.get(BEFORE, ""))
        border = datetime.fromisoformat(until[1]) if until else datetime.min.replace(tzinfo=UTC)
        month = YearMonth(now.year, now.month)
        for _ in range(MONTHS_AHEAD + 1):
            start, month = month.on_day(1), _next_month(month)
            name = f"event_{start.year}_{start.month:02}"
            if name not in there and datetime(start.year, start.month, 1, tzinfo=UTC) >= border:
                made += _create(session, name, str(start), str(month.on_day(1)))
    return made


def _next_month(month: YearMonth) -> YearMonth:
    later = month.on_day(1).add(months=1)
    return YearMonth(later.year, later.month)


def _create(session: Session, name: str, start: str, end: str) -> list[str]:
    """Create a partition; not where events of that month lie in the default partition already: there they stay."""
    bounds = f"FROM ('{start} 00:00:00+00') TO ('{end} 00:00:00+00')"
    try:
        with session.begin_nested():
            session.execute(text(f"CREATE TABLE {name} PARTITION OF event FOR VALUES {bounds}"))
    except DBAPIError:
        return []
    return [name]


def detach(
    store: Store, month: str, *, recount: Callable[[Session, list[int]], None], actor: str, now: datetime
) -> tuple[str, int]:
    """Detach a month. Return its table and of how many contacts `recount` counted the activity without it. Raises
    Unknown, NotAllowed."""
    if store.on_sqlite:
        raise NotAllowed("SQLite keeps everything in one table; months are PostgreSQL's.")
    name = f"event_{month.replace('-', '_')}"
    with store.write() as session:
        known = [part.name for part in _partitions(session)]
        if name not in known or name == BEYOND:
            raise Unknown(f"There is no month “{month}”{did_you_mean(name, known)}")
        people = list(session.execute(text(f"SELECT DISTINCT contact_id FROM {name}")).scalars())
        session.execute(text(f"ALTER TABLE event DETACH PARTITION {name}"))
        recount(session, people)
        audit(session, now, actor, "detached", f"month:{month}", contacts=len(people))
    return name, len(people)
