"""Times: spans, weekdays, working days and clock times, on a contact's own clock. Pure functions of values.

A wall-clock time is kept as wall clock and zone and resolved when it is due. Where a clock is put forward a time that
does not exist means the one an hour later; where it is put back, the first of the two (RFC 5545, 3.3.5).
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Literal

from cronsim import CronSim, CronSimError
from holidays import HolidayBase, country_holidays
from pydantic import BaseModel, ConfigDict
from whenever import Date, Instant, Time, ZonedDateTime

from passaparola.clock import WEEKDAYS
from passaparola.durations import UNITS

ORDINALS = {"first": "#1", "second": "#2", "third": "#3", "fourth": "#4", "last": "L"}
MAX_LOOKAHEAD = timedelta(days=366 * 5)


class Wait(BaseModel):
    """`7 days`, `until 10:00`, `until Saturday`, `until the next working day`; `at` is a time on the contact's
    clock."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["span", "clock", "weekday", "working_day"]
    number: int = 0
    unit: Literal["minute", "hour", "day", "week"] = "day"
    weekday: int = 0
    at: str = ""

    def ends_at(self, start: datetime, zone: str, country: str | None = None) -> datetime:
        """Return the instant at which a wait that begins at `start` ends."""
        local = Instant.from_timestamp(start.timestamp()).to_tz(zone)
        if self.kind == "span" and self.unit in ("minute", "hour"):
            return start + self.number * UNITS[self.unit]
        day, clock = local.date(), Time.parse_iso(self.at) if self.at else local.time()
        match self.kind:
            case "span":
                day = day.add(days=self.number * (7 if self.unit == "week" else 1))
            case "clock":
                day = day if local.time() <= clock else day.add(days=1)
            case "weekday":
                ahead = (self.weekday - day.day_of_week().value + 1) % 7
                day = day.add(days=ahead if ahead or local.time() <= clock else 7)
            case "working_day":
                day = _next_working_day(day, country or "")
        end = _instant(day, clock, zone)
        return max(end, start)

    @property
    def needs_clock(self) -> bool:
        return not (self.kind == "span" and self.unit in ("minute", "hour"))


def _instant(day: Date, clock: Time, zone: str) -> datetime:
    there: ZonedDateTime = day.at(clock).assume_tz(zone, disambiguation="compatible")
    return datetime.fromtimestamp(there.timestamp(), tz=UTC)


def _next_working_day(day: Date, country: str) -> Date:
    calendar = _holiday_calendar(country)
    following = day.add(days=1)
    while not calendar.is_working_day(following.to_stdlib()):
        following = following.add(days=1)
    return following


@cache
def _holiday_calendar(country: str) -> HolidayBase:
    """Load the holidays of a country; none but the weekend where they are not known."""
    try:
        return country_holidays(country)
    except NotImplementedError:
        return HolidayBase()


def parse_wait(text: str, at: str = "") -> Wait:
    """Parse a wait. Raises ValueError, in a marketer's words."""
    words = " ".join(text.lower().split())
    if at and not _is_clock(at):
        raise ValueError(f"at: “{at}” is not a time; write one such as 10:00")
    if matched := re.fullmatch(r"(\d{1,4}) (minute|hour|day|week)s?", words):
        if at and matched[2] in ("minute", "hour"):
            raise ValueError(f"“{text}” ends at its own time; “at” goes with days, weeks and weekdays")
        if int(matched[1]) == 0:
            raise ValueError("a wait of nothing is no wait; leave it out")
        return Wait(kind="span", number=int(matched[1]), unit=matched[2], at=at)
    target = words.removeprefix("until ").removeprefix("the ").removeprefix("next ")
    if target in WEEKDAYS:
        return Wait(kind="weekday", weekday=WEEKDAYS.index(target), at=at)
    if target == "working day":
        return Wait(kind="working_day", at=at)
    if _is_clock(target) and not at:
        return Wait(kind="clock", at=target)
    raise ValueError(f"“{text}” is not a wait; write 7 days, until 10:00, until Saturday or until the next working day")


def _is_clock(text: str) -> bool:
    if not re.fullmatch(r"\d\d:\d\d", text):
        return False
    try:
        time.fromisoformat(text)
    except ValueError:
        return False
    return True


def parse_schedule(text: str) -> str:
    """Parse a schedule to cron: `day at 09:00`, `Tuesday at 10:00`, `first Monday at 09:00`, `15th at 08:30`, or cron
    itself.

    Raises ValueError, in a marketer's words.
    """
    words = " ".join(text.lower().split()).removeprefix("every ").replace(" of the month", "")
    expression = words
    if matched := re.fullmatch(r"(.+) at (\d\d:\d\d)", words):
        if not _is_clock(matched[2]):
            raise ValueError(f"“{matched[2]}” is not a time; write one such as 09:00")
        hour, minute = (int(part) for part in matched[2].split(":"))
        expression = f"{minute} {hour} {_parse_days(matched[1], text)}"
    elif len(words.split()) != 5:
        raise ValueError(
            f"“{text}” is not a schedule; write day at 09:00, Tuesday at 10:00, first Monday at 09:00 or 15th at 08:30"
        )
    try:
        next(CronSim(expression.upper(), datetime(2026, 1, 1)), None)
    except CronSimError as error:
        raise ValueError(f"“{text}” is not a schedule: {error}") from None
    return expression.upper()


def _parse_days(words: str, text: str) -> str:
    place, _, day = words.rpartition(" ")
    if words == "day":
        return "* * *"
    if words in ("weekday", "working day"):
        return "* * 1-5"
    if matched := re.fullmatch(r"(\d{1,2})(st|nd|rd|th)", words):
        return f"{matched[1]} * *"
    if day in WEEKDAYS and (place in ORDINALS or not place):
        number = WEEKDAYS.index(day) + 1
        return f"* * {number}{ORDINALS.get(place, '')}"
    raise ValueError(
        f"“{text}” is not a schedule; write day at 09:00, Tuesday at 10:00, first Monday at 09:00 or 15th at 08:30"
    )


def occurrences(expression: str, zone: str, after: datetime, until: datetime) -> Iterator[tuple[str, datetime]]:
    """Yield each wall-clock time of a schedule in (after, until], with the instant it means: ("2026-03-29T02:30",
    …)."""
    local = Instant.from_timestamp(after.timestamp()).to_tz(zone)
    begin = datetime.combine(local.date().to_stdlib(), time()) - timedelta(days=1, minutes=1)
    # The wall clock alone: what it means in the zone is decided here, in one place, for waits and schedules alike.
    for wall in CronSim(expression, begin):
        at = _instant(Date(wall.year, wall.month, wall.day), Time(wall.hour, wall.minute), zone)
        if at > until:
            return
        if at > after:
            yield wall.strftime("%Y-%m-%dT%H:%M"), at


def next_occurrence(expression: str, zone: str, after: datetime) -> tuple[str, datetime] | None:
    """Return the next occurrence; None for a schedule that never comes, such as a 30 February."""
    try:
        return next(occurrences(expression, zone, after, after + MAX_LOOKAHEAD), None)
    except StopIteration:
        return None


def truncate_to_minute(at: datetime) -> datetime:
    """Truncate to the minute: those who are due in the same one move together."""
    return at.replace(second=0, microsecond=0)
