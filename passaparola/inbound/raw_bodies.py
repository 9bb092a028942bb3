"""Bodies from outside as they came: kept before they are answered, counted, and played again on demand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlmodel import Session, col

from passaparola.store.database import Store, audit, insert_new
from passaparola.store.models import Intake

# What a body needs to be understood later; the signature has done its work.
KEPT = (
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
ASKED = ":path"  # kept where it has a query: some providers name a message of ours there


def keep(
    session: Session,
    source: str,
    key: str,
    headers: Mapping[str, str],
    body: bytes,
    received_at: datetime,
    urgent: bool = False,
) -> bool:
    """One row for each delivery, however often it is made. False: it was here already."""
    told = {name: value for name, value in headers.items() if name.endswith(KEPT)}
    if "?" in headers.get(ASKED, ""):
        told[ASKED] = headers[ASKED]
    row = {"source": source, "key": key, "received_at": received_at, "headers": told, "body": body, "state": "new", "problem": "", "urgent": urgent}  # fmt: skip
    kept = insert_new(session, Intake).values(row).returning(col(Intake.id))
    return session.execute(kept).scalar() is not None


@dataclass
class Standing:
    """What came in and what became of it; nothing is dropped."""

    sources: dict[str, dict[str, int]] = field(default_factory=dict)  # source → state → bodies
    odd: list[dict[str, Any]] = field(default_factory=list)  # the latest that were not understood, with the reason


def standing(session: Session, shown: int = 20) -> Standing:
    found = Standing()
    counted = select(col(Intake.source), col(Intake.state), func.count()).group_by(
        col(Intake.source), col(Intake.state)
    )
    for source, state, count in session.execute(counted):
        found.sources.setdefault(source, {})[state] = count
    odd = select(Intake).where(col(Intake.problem) != "").order_by(col(Intake.id).desc()).limit(shown)
    for row in session.execute(odd).scalars():
        found.odd.append(
            {"id": row.id, "source": row.source, "received_at": row.received_at, "state": row.state, "problem": row.problem}
        )  # fmt: skip
    return found


def replay(store: Store, *, since: datetime, until: datetime, source: str | None, actor: str, now: datetime) -> int:
    """Bodies of a span are new once more; applying them again changes only what was missing."""
    with store.write() as session:
        again = update(Intake).where(col(Intake.received_at) >= since, col(Intake.received_at) < until)
        again = again.where(col(Intake.source) == source) if source else again
        changed: Any = session.execute(
            again.values(state="new", problem="", applied_at=None), execution_options={"synchronize_session": False}
        )
        audit(session, now, actor, "replayed", f"intake:{source or 'all'}", bodies=changed.rowcount)
        return int(changed.rowcount)
