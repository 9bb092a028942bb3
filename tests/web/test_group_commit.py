"""Several visitors in one transaction: each gets their own answer, and one who fails takes nobody along."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlmodel import Session, col

from passaparola.inbound.store import NewBody, store_bodies
from passaparola.store.database import Store
from passaparola.store.models import RawBody
from passaparola.web.group_commit import GroupCommit

NOW = datetime(2026, 4, 21, tzinfo=UTC)


def store_good(session: Session, keys: Sequence[str]) -> Sequence[str]:
    store_bodies(session, [NewBody("t", key, {}, b"{}", NOW) for key in keys])
    if "bad" in keys:
        raise ValueError("this one can't")
    return keys


async def test_one_who_fails_takes_nobody_along(store: Store) -> None:
    group = GroupCommit(store, store_good)
    answers = await asyncio.gather(*(group.write(key) for key in ("a", "b", "bad", "c", "d")), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["a", "b", "this one can't", "c", "d"]
    with store.read() as session:
        assert sorted(session.execute(select(col(RawBody.key))).scalars()) == ["a", "b", "c", "d"]


async def test_a_database_that_refuses_says_so_to_each_and_the_next_ones_are_kept(store: Store) -> None:
    from sqlalchemy.exc import OperationalError

    from tests.faults.outages import refusing

    group = GroupCommit(store, store_good)
    with refusing(store, 1.0), pytest.raises(OperationalError):
        await group.write("lost")
    assert await group.write("kept") == "kept"
