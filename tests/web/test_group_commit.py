"""Several visitors in one transaction: each gets their own answer, and one who fails takes nobody along."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlmodel import Session, col

from passaparola.inbound import raw_bodies
from passaparola.store.database import Store
from passaparola.store.models import RawBody
from passaparola.web.group_commit import Together

NOW = datetime(2026, 4, 21, tzinfo=UTC)


def keeping(key: str) -> object:
    def work(session: Session) -> str:
        raw_bodies.store_body(session, "t", key, {}, b"{}", NOW)
        if key == "bad":
            raise ValueError("this one can't")
        return key

    return work


async def test_one_who_fails_takes_nobody_along(store: Store) -> None:
    together = Together(store)
    keys = ["a", "b", "bad", "c", "d"]
    answers = await asyncio.gather(*(together.write(keeping(key)) for key in keys), return_exceptions=True)  # type: ignore[arg-type]
    assert [str(answer) for answer in answers] == ["a", "b", "this one can't", "c", "d"]
    with store.read() as session:
        assert sorted(session.execute(select(col(RawBody.key))).scalars()) == ["a", "b", "c", "d"]


async def test_a_database_that_refuses_says_so_to_each_and_the_next_ones_are_kept(store: Store) -> None:
    from sqlalchemy.exc import OperationalError

    from tests.faults.outages import refusing

    together = Together(store)
    with refusing(store, 1.0), pytest.raises(OperationalError):
        await together.write(keeping("lost"))  # type: ignore[arg-type]
    assert await together.write(keeping("kept")) == "kept"  # type: ignore[arg-type]
