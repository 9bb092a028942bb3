"""One clock, the house's: what people read and type is on it, and a day begins at its midnight."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import Session

from passaparola import clock
from passaparola.contacts import activity, audience
from passaparola.contacts.audience import Question
from passaparola.contacts.audience.words import Catalogue
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Event
from tests.people import add

ROME = "Europe/Rome"
NOW = datetime(2026, 11, 27, 22, 30, tzinfo=UTC)  # 23:30 of that Friday in Rome


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("tomorrow 09:00", "2026-11-28T08:00"), ("Tomorrow at 9:00", "2026-11-28T08:00"), ("today 23:45", "2026-11-27T22:45"),
        ("Saturday 10:00", "2026-11-28T09:00"), ("Friday 10:00", "2026-12-04T09:00"), ("next monday, 07:30", "2026-11-30T06:30"),
        ("2026-11-28 09:00", "2026-11-28T08:00"), ("2026-11-28T09:00", "2026-11-28T08:00"), ("28/11/2026 09:00", "2026-11-28T08:00"),
        ("1.7.2027 9.00", "2027-07-01T07:00"), ("2026-11-28T09:00:00+01:00", "2026-11-28T08:00"), ("2026-11-28T09:00:00Z", "2026-11-28T09:00"),
        ("2027-03-28 02:30", "2027-03-28T01:30"),  # the hour that does not exist is the one after
    ],
)  # fmt: skip
def test_a_time_is_typed_on_the_house_clock(said: str, at: str) -> None:
    assert clock.parse_local(said, NOW, ROME) == datetime.fromisoformat(at).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "said", ["", "soon", "09:00 tomorrow", "2026-02-30 09:00", "tomorrow 25:00", "31/11/2026 09:00", "tomorrow"]
)
def test_what_is_no_time_is_a_sentence(said: str) -> None:
    with pytest.raises(ValueError, match="is not a time; write one such as"):
        clock.parse_local(said, NOW, ROME)


def test_an_instant_is_shown_with_its_weekday_and_zone() -> None:
    summer, winter = datetime(2026, 7, 1, 7, tzinfo=UTC), datetime(2026, 11, 28, 8, tzinfo=timezone(timedelta(hours=1)))
    assert clock.format_in_full(summer, ROME) == "Wednesday 01 July 2026, 09:00 (Europe/Rome)"
    assert clock.format_in_full(winter, ROME) == "Saturday 28 November 2026, 08:00 (Europe/Rome)"


def _orders(session: Session) -> None:
    """Alice at 00:30 of the 21st in Rome, Bob at 23:30 of the 20th, whatever UTC says."""
    for name, at in (
        ("Alice", datetime(2026, 4, 20, 22, 30, tzinfo=UTC)),
        ("Bob", datetime(2026, 4, 20, 21, 30, tzinfo=UTC)),
    ):
        contact = add(session, name, at)
        session.add(
            Event(
                contact_id=contact,
                kind="order_completed",
                at=at,
                received_at=at,
                source="t",
                source_id=name,
                properties={},
            )
        )
    session.flush()
    activity.refresh(session, "EUR")


@pytest.mark.parametrize("asked_in", ["UTC", ROME, "Asia/Tokyo", "America/Los_Angeles"])
def test_a_date_is_the_house_s_midnight_whatever_clock_asks(asked_in: str, store: Store, settings: Settings) -> None:
    now = datetime(2026, 4, 22, 9, tzinfo=UTC).astimezone(ZoneInfo(asked_in))
    with store.write() as session:
        _orders(session)
    with store.read() as session:
        words = audience.load_catalogue(session, settings)
        for question, people in {
            "ordered since 2026-04-21": 1,
            "ordered before 2026-04-21": 1,
            "first ordered since 2026-04-21": 1,
            "spent at least 0 EUR since 2026-04-21": 2,
        }.items():
            assert audience.count_members(session, Question.parse(question, words), now) == people, question


def test_birthdays_are_on_the_house_s_calendar(store: Store, settings: Settings) -> None:
    late = datetime(2026, 4, 20, 22, 30, tzinfo=UTC)  # the 21st has begun in Rome
    with store.write() as session:
        add(session, "Alice", late, birthday="04-21")
    with store.read() as session:
        found = audience.count_members(
            session, Question.parse("birthday today", audience.load_catalogue(session, settings)), late
        )
    assert (found, Catalogue().zone) == (1, "UTC")
