"""The audit as a chain: each row's link is the hash of the row and of the link before it, so that no change or removal
goes unnoticed.

Rows are written by many at once and linked a moment later by one; those not linked yet are counted as waiting.
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

AUDIT_LOCK_ID = 20260420
LINK_BATCH_ROWS = 5_000
GENESIS_LINK = sha256(b"passaparola").hexdigest()


@dataclass(frozen=True)
class ChainCheck:
    """`broken` says where the chain does not hold; empty: it does."""

    linked: int
    waiting: int
    broken: str = ""


def link_new_rows(store: Store, now: datetime) -> int:
    """Link the rows not linked yet. Return how many."""
    linked = 0
    while new := _link_batch(store, now):
        linked += new
    return linked


def _link_batch(store: Store, now: datetime) -> int:
    with store.read() as session:
        if session.execute(select(col(Audit.id)).where(col(Audit.number).is_(None)).limit(1)).scalar() is None:
            return 0
    with store.write() as session:
        if not store.on_sqlite:
            session.execute(text(f"SELECT pg_advisory_xact_lock({AUDIT_LOCK_ID})"))
        seal = session.get(Seal, 1) or Seal(number=0, link=GENESIS_LINK, at=now)
        waiting = select(Audit).where(col(Audit.number).is_(None)).order_by(col(Audit.id)).limit(LINK_BATCH_ROWS)
        rows = list(session.execute(waiting).scalars())
        for row in rows:
            seal.number += 1
            row.number, row.link = seal.number, _link_hash(seal.link, seal.number, row)
            seal.link = row.link
        seal.at = now
        session.add(seal)
        return len(rows)


def verify_chain(session: Session) -> ChainCheck:
    """Verify the whole chain from its beginning to its seal."""
    waiting = session.execute(select(func.count()).where(col(Audit.number).is_(None))).scalar_one()
    before, number = GENESIS_LINK, 0
    chained = select(Audit).where(col(Audit.number).is_not(None)).order_by(col(Audit.number))
    with session.execute(chained.execution_options(yield_per=1_000)) as rows:
        for row in rows.scalars():
            number += 1
            if row.number != number:
                return ChainCheck(number - 1, waiting, f"row {number} of the audit is missing")
            if row.link != _link_hash(before, number, row):
                return ChainCheck(number - 1, waiting, f"row {number} of the audit was changed")
            before = row.link or ""
    seal = session.get(Seal, 1)
    if (seal.number, seal.link) != (number, before) if seal else number:
        return ChainCheck(number, waiting, f"the audit ends at row {number}, before its seal")
    return ChainCheck(number, waiting)


def _link_hash(before: str, number: int, row: Audit) -> str:
    fields: dict[str, Any] = {
        "before": before,
        "number": number,
        "at": row.at.isoformat(),
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "detail": row.detail,
    }
    return sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()
