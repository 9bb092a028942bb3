"""Events by month on PostgreSQL; SQLite has one table and says so."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from passaparola.contacts import activity, events
from passaparola.contacts.activity import recounting
from passaparola.errors import NotAllowed, Unknown
from passaparola.store import partitions
from passaparola.store.database import Store
from passaparola.store.models import Activity, Event
from tests.conftest import NOW
from tests.people import add

LATER = NOW.replace(year=2027, month=3)


def happened(store: Store, at: datetime, id_: str) -> None:
    with store.write() as session:
        row = events.NewEvent(1, "visited", at, at, "t", id_)
        activity.add_events(session, "EUR", events.record_events(session, [row]))


def test_each_month_to_come_has_a_place_and_old_ones_leave_in_one_statement(store: Store) -> None:
    with store.write() as session:
        add(session, "Alice", NOW)
    if store.on_sqlite:
        assert partitions.create_ahead(store, LATER) == []
        with pytest.raises(NotAllowed, match="one table"):
            partitions.detach(store, "2027-03", recount=recounting("EUR"), actor="t", now=LATER)
        return
    made = partitions.create_ahead(store, LATER)
    assert made == ["event_2027_03", "event_2027_04", "event_2027_05", "event_2027_06"]
    assert partitions.create_ahead(store, LATER) == []
    happened(store, NOW, "old")
    happened(store, LATER, "march")
    happened(store, LATER + timedelta(days=31), "april")
    with store.read() as session:
        where = dict(session.execute(text("SELECT source_id, tableoid::regclass::text FROM event")).all())
    assert where == {"old": "event_before", "march": "event_2027_03", "april": "event_2027_04"}
    with pytest.raises(Unknown, match="2027_03"):
        partitions.detach(store, "2027-13", recount=recounting("EUR"), actor="t", now=LATER)
    assert partitions.detach(store, "2027-03", recount=recounting("EUR"), actor="t", now=LATER) == ("event_2027_03", 1)
    with store.read() as session:
        assert sorted(session.execute(select(col(Event.source_id))).scalars()) == ["april", "old"]
        assert session.execute(select(col(Activity.count))).scalar_one() == 2
        assert session.execute(text("SELECT count(*) FROM event_2027_03")).scalar_one() == 1


def test_what_is_told_again_is_known_although_its_month_has_left(store: Store) -> None:
    with store.write() as session:
        add(session, "Alice", NOW)
    partitions.create_ahead(store, LATER)
    happened(store, LATER, "march")
    if not store.on_sqlite:
        partitions.detach(store, "2027-03", recount=recounting("EUR"), actor="t", now=LATER)
    with store.write() as session:
        row = events.NewEvent(1, "visited", LATER, LATER, "t", "march")
        assert events.record_events(session, [row]) == []
