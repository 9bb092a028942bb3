"""The audit as a chain: each row's link is the hash of the row and of the link before it, so nothing can be changed or taken
out without being missed.

Rows are written by many at once and linked a moment later by one; what is not linked yet is counted as such.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import func, select, text
from sqlmodel import Session, col

from passaparola.store.database import Store
from passaparola.store.models import Audit, Seal

LOCK = 20260420
AT_ONCE = 5_000
FIRST = sha256(b"passaparola").hexdigest()


@dataclass(frozen=True)
class Checked:
    """`broken` says where the chain does not hold; empty: it does."""

    linked: int
    waiting: int
    broken: str = ""


def link(store: Store, now: datetime) -> int:
    """Link what was written since. Returns how many rows."""
    linked = 0
    while new := _some(store, now):
        linked += new
    return linked


def _some(store: Store, now: datetime) -> int:
    with store.read() as session:
        if session.execute(select(col(Audit.id)).where(col(Audit.number).is_(None)).limit(1)).scalar() is None:
            return 0
    with store.write() as session:
        if not store.on_sqlite:
            session.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        seal = session.get(Seal, 1) or Seal(number=0, link=FIRST, at=now)
        waiting = select(Audit).where(col(Audit.number).is_(None)).order_by(col(Audit.id)).limit(AT_ONCE)
        rows = list(session.execute(waiting).scalars())
        for row in rows:
            seal.number += 1
            row.number, row.link = seal.number, _link(seal.link, seal.number, row)
            seal.link = row.link
        seal.at = now
        session.add(seal)
        return len(rows)


def check(session: Session) -> Checked:
    """Read the whole chain from its beginning to its seal."""
    waiting = session.execute(select(func.count()).where(col(Audit.number).is_(None))).scalar_one()
    before, number = FIRST, 0
    chained = select(Audit).where(col(Audit.number).is_not(None)).order_by(col(Audit.number))
    with session.execute(chained.execution_options(yield_per=1_000)) as rows:
        for row in rows.scalars():
            number += 1
            if row.number != number:
                return Checked(number - 1, waiting, f"row {number} of the audit is missing")
            if row.link != _link(before, number, row):
                return Checked(number - 1, waiting, f"row {number} of the audit was changed")
            before = row.link or ""
    seal = session.get(Seal, 1)
    if (seal.number, seal.link) != (number, before) if seal else number:
        return Checked(number, waiting, f"the audit ends at row {number}, before its seal")
    return Checked(number, waiting)


def _link(before: str, number: int, row: Audit) -> str:
    said: dict[str, Any] = {
        "before": before, "number": number, "at": row.at.isoformat(), "actor": row.actor, "action": row.action,
        "subject": row.subject, "detail": row.detail,
    }  # fmt: skip
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
