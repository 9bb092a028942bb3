"""Stage 2: store bodies as they came, before they are answered; count them, and replay them on demand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlmodel import Session, col

from passaparola.store.bulk import execute_update
from passaparola.store.database import Store, audit, insert_or_ignore
from passaparola.store.models import RawBody

# What a body needs to be understood later; the signature has done its work.
KEPT_HEADERS = (
    "content-type",
    "-to",
    "-topic",
    "-resource",
    "-event",
    "-id",
    "-version",
    "-source",
    "-domain",
    "-triggered-at",
    "-timestamp",
    ":url",  # of a feed
)
PATH_HEADER = ":path"  # kept where it has a query: some providers name a message of ours there


@dataclass(frozen=True)
class NewBody:
    """A verified delivery. `key` is its sender's name of it; `urgent`: it may hold an opt-out, a complaint or a hard
    bounce."""

    source: str
    key: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    urgent: bool = False


def store_bodies(session: Session, bodies: Sequence[NewBody]) -> list[bool]:
    """Store deliveries as they came; a repeated one stays one row. Return which were new."""
    return [store_body(session, body) for body in bodies]


def store_body(session: Session, new: NewBody) -> bool:
    """Store one delivery as it came. Return False where it was here already."""
    headers = {name: value for name, value in new.headers.items() if name.endswith(KEPT_HEADERS)}
    if "?" in new.headers.get(PATH_HEADER, ""):
        headers[PATH_HEADER] = new.headers[PATH_HEADER]
    row = {
        "source": new.source,
        "key": new.key,
        "received_at": new.received_at,
        "headers": headers,
        "body": new.body,
        "state": "new",
        "problem": "",
        "urgent": new.urgent,
    }
    stored = insert_or_ignore(session, RawBody).values(row).returning(col(RawBody.id))
    return session.execute(stored).scalar() is not None


@dataclass
class RawBodyCounts:
    """What came in and what became of it; nothing is dropped."""

    sources: dict[str, dict[str, int]] = field(default_factory=dict)  # source → state → bodies
    invalid: list[dict[str, Any]] = field(default_factory=list)  # the latest that were not understood, with the reason


def count_bodies(session: Session, shown: int = 20) -> RawBodyCounts:
    counts = RawBodyCounts()
    counted = select(col(RawBody.source), col(RawBody.state), func.count()).group_by(
        col(RawBody.source), col(RawBody.state)
    )
    for source, state, count in session.execute(counted):
        counts.sources.setdefault(source, {})[state] = count
    odd = select(RawBody).where(col(RawBody.problem) != "").order_by(col(RawBody.id).desc()).limit(shown)
    for row in session.execute(odd).scalars():
        counts.invalid.append(
            {
                "id": row.id,
                "source": row.source,
                "received_at": row.received_at,
                "state": row.state,
                "problem": row.problem,
            }
        )
    return counts


def replay(store: Store, *, since: datetime, until: datetime, source: str | None, actor: str, now: datetime) -> int:
    """Mark the bodies of a span as new, to be applied once more, which changes only what was missing. Return how
    many."""
    with store.write() as session:
        again = update(RawBody).where(col(RawBody.received_at) >= since, col(RawBody.received_at) < until)
        again = again.where(col(RawBody.source) == source) if source else again
        replayed = execute_update(session, again.values(state="new", problem="", applied_at=None))
        audit(session, now, actor, "replayed", f"intake:{source or 'all'}", bodies=replayed)
        return replayed
