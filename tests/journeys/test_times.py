"""When is next: on every clock of the world, over both changes of it, once and at the intended time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passaparola.journeys import times

ZONES = [
    "Europe/Rome", "Europe/London", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Australia/Adelaide", "Pacific/Apia", "Pacific/Chatham", "Europe/Kyiv", "America/St_Johns",
]  # fmt: skip
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CHANGING = (3, 4, 9, 10, 11)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("said", ["day at 09:00", "day at 02:30", "day at 00:00", "Sunday at 02:15"])
def test_every_local_schedule_comes_once_and_at_its_wall_time(zone: str, said: str) -> None:
    """400 days in ticks, as a clock would; hourly ones in the months in which clocks change somewhere."""
    seen: list[tuple[str, datetime]] = []
    expression, at = times.parse_schedule(said), BEGIN
    while at < BEGIN + timedelta(days=400):
        tick = timedelta(hours=1) if at.month in CHANGING else timedelta(days=1)
        seen += times.occurrences(expression, zone, at, at + tick)
        at += tick
    walls = [wall for wall, _ in seen]
    assert len(set(walls)) == len(walls)
    assert len(walls) == (400 if said.startswith("day") else 57)
    for wall, instant in seen:
        local = instant.astimezone(ZoneInfo(zone))
        meant = datetime.fromisoformat(wall)
        moved = (local.replace(tzinfo=None) - meant).total_seconds()
        exists = (
            datetime.fromtimestamp(meant.replace(tzinfo=ZoneInfo(zone)).timestamp(), ZoneInfo(zone)).replace(
                tzinfo=None
            )
            == meant
        )
        assert moved == 0 if exists else 0 < moved <= 3600, (wall, local)


def test_a_time_that_does_not_exist_is_an_hour_later_and_one_that_comes_twice_is_the_first() -> None:
    spring = list(
        times.occurrences(
            "30 2 * * *", "Europe/Rome", datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC)
        )
    )
    autumn = list(
        times.occurrences(
            "30 2 * * *", "Europe/Rome", datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)
        )
    )
    assert spring == [("2026-03-29T02:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC))]
    assert autumn == [("2026-10-25T02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC))]


def test_a_wait_of_days_keeps_the_wall_clock_across_a_change_of_it() -> None:
    saturday = datetime(2026, 3, 28, 9, 30, tzinfo=UTC)  # 10:30 in Rome
    assert times.parse_wait("1 day").ends_at(saturday, "Europe/Rome") == datetime(2026, 3, 29, 8, 30, tzinfo=UTC)
    assert times.parse_wait("24 hours").ends_at(saturday, "Europe/Rome") == datetime(2026, 3, 29, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "at", "local"),
    [
        ("7 days", "10:00", "2026-12-03 10:00"),
        ("2 weeks", "", "2026-12-10 13:00"),
        ("until 18:00", "", "2026-11-26 18:00"),
        ("until 10:00", "", "2026-11-27 10:00"),
        ("until Saturday", "09:30", "2026-11-28 09:30"),
        ("until Thursday", "09:30", "2026-12-03 09:30"),
        ("until Thursday", "", "2026-11-26 13:00"),
        ("until the next working day", "10:00", "2026-11-27 10:00"),
    ],
)
def test_waits_end_when_a_marketer_would_say(said: str, at: str, local: str) -> None:
    thursday = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
    end = times.parse_wait(said, at).ends_at(thursday, "Europe/Rome", "IT")
    assert f"{end.astimezone(ZoneInfo('Europe/Rome')):%Y-%m-%d %H:%M}" == local


def test_a_working_day_is_one_where_the_contact_lives() -> None:
    monday = datetime(2026, 12, 7, 9, 0, tzinfo=UTC)  # the 8th is a holiday in Italy, not in Ireland
    wait = times.parse_wait("until the next working day", "10:00")
    assert wait.ends_at(monday, "Europe/Rome", "IT").day == 9
    assert wait.ends_at(monday, "Europe/Dublin", "IE").day == 8
    assert wait.ends_at(datetime(2026, 12, 11, 9, tzinfo=UTC), "UTC", "").day == 14
    assert wait.ends_at(datetime(2026, 12, 11, 9, tzinfo=UTC), "UTC", "XX").day == 14


@pytest.mark.parametrize("said", ["soon", "7 fortnights", "until Blursday", "until 25:00", "0 days", "10:00 sharp"])
def test_what_is_no_wait_says_what_one_looks_like(said: str) -> None:
    with pytest.raises(ValueError, match="wait"):
        times.parse_wait(said)


@pytest.mark.parametrize(
    "said",
    ["sometimes", "Blursday at 09:00", "first Monday", "fifth Friday at 09:00", "day at 9", "61 * * * *", "* * *"],
)
def test_what_is_no_schedule_says_so(said: str) -> None:
    with pytest.raises(ValueError, match="schedule"):
        times.parse_schedule(said)


@settings(deadline=None)
@given(
    st.sampled_from(ZONES),
    st.integers(0, 400 * 24 * 60),
    st.sampled_from(["3 days", "until 09:15", "until Monday", "until the next working day"]),
)
def test_no_wait_ends_before_it_begins(zone: str, minutes: int, said: str) -> None:
    start = BEGIN + timedelta(minutes=minutes)
    end = times.parse_wait(said).ends_at(start, zone, "IT")
    assert start <= end <= start + timedelta(days=12)
