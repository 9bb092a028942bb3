"""The audit's chain: whatever is changed, taken out, cut off or put in between is missed."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import delete, text, update
from sqlmodel import col

from passaparola.store import audit_chain
from passaparola.store.database import Store, audit
from passaparola.store.models import Audit
from tests.conftest import NOW


def written(store: Store, count: int = 30) -> None:
    for n in range(count):
        with store.write() as session:
            audit(session, NOW + timedelta(seconds=n), f"actor {n}", "did", f"contact:{n}", n=n, words="così")
    assert audit_chain.link_new_rows(store, NOW) == count
    assert audit_chain.link_new_rows(store, NOW) == 0


def checked(store: Store) -> audit_chain.ChainCheck:
    with store.read() as session:
        return audit_chain.verify_chain(session)


def test_an_untouched_audit_holds_and_grows(store: Store) -> None:
    written(store)
    with store.write() as session:
        audit(session, NOW, "t", "did", "contact:1")
    assert checked(store) == audit_chain.ChainCheck(30, 1)
    audit_chain.link_new_rows(store, NOW)
    assert checked(store) == audit_chain.ChainCheck(31, 0)


@pytest.mark.parametrize("column", ["actor", "action", "subject", "detail", "at", "number", "link"])
def test_every_change_of_every_column_is_missed(store: Store, column: str) -> None:
    written(store)
    wrong = {"at": NOW + timedelta(days=1), "detail": {"n": "x"}, "number": 999}.get(column, "changed")
    with store.write() as session:
        session.execute(update(Audit).where(col(Audit.number) == 17).values({column: wrong}))
    assert "17" in checked(store).broken


def test_every_row_that_is_taken_out_is_missed_the_last_one_too(store: Store) -> None:
    written(store)
    dice = random.Random(7)
    for number in [*dice.sample(range(1, 30), 4), 30]:
        with store.read() as session:
            session.execute(delete(Audit).where(col(Audit.number) == number))
            assert audit_chain.verify_chain(session).broken
            session.rollback()
    assert not checked(store).broken
    with store.write() as session:
        session.execute(text("DELETE FROM audit"))
    assert checked(store).broken == "the audit ends at row 0, before its seal"
