"""The house's clock: what a marketer reads and types, whatever zone the database and Prefect keep their instants in."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from whenever import Date, Time

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAYS = (r"(?P<year>\d{4})-(?P<month>\d\d?)-(?P<day>\d\d?)", r"(?P<day>\d\d?)[/.](?P<month>\d\d?)[/.](?P<year>\d{4})")
TIME = re.compile(r"(?P<hour>\d\d?)[:.](?P<minute>\d\d)(:\d\d)?")


def to_local(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone))


def format_local(at: datetime, zone: str, form: str = "%Y-%m-%d %H:%M") -> str:
    """Return an instant as the house's clock shows it."""
    return to_local(at, zone).strftime(form)


def format_in_full(at: datetime, zone: str) -> str:
    """Format an instant for a decision: for a decision: the weekday catches a wrong date, the zone a wrong hour."""
    return f"{to_local(at, zone):%A %d %B %Y, %H:%M} ({zone})"


def parse_local(text: str, now: datetime, zone: str) -> datetime:
    """Parse a time as marketers type it: `tomorrow 09:00`, `Saturday 10:00`, `2026-11-28 09:00`, `28/11/2026 09:00`,
    on the house's clock unless it brings its own offset. Raises ValueError, in a marketer's words."""
    words = " ".join(text.lower().replace(",", " ").replace(" at ", " ").split())
    try:
        if (given := datetime.fromisoformat(words.upper())).tzinfo:
            return given.astimezone(UTC)
    except ValueError:
        pass
    day, _, clock = (
        words.replace("t", " ", 1).rpartition(" ") if re.match(r"\d{4}-\d\d-\d\dt", words) else words.rpartition(" ")
    )
    matched = TIME.fullmatch(clock)
    date_ = _parse_day(day, to_local(now, zone))
    if matched is None or date_ is None or int(matched["hour"]) > 23 or int(matched["minute"]) > 59:
        raise ValueError(
            f"“{text}” is not a time; write one such as tomorrow 09:00, Saturday 10:00 or 2026-11-28 09:00"
        )
    there = date_.at(Time(int(matched["hour"]), int(matched["minute"]))).assume_tz(zone, disambiguation="compatible")
    return datetime.fromtimestamp(there.timestamp(), tz=UTC)


def _parse_day(words: str, today: datetime) -> Date | None:
    """Parse a day. None: no day, or none that the calendar has."""
    ahead = {"today": 0, "": 0, "tomorrow": 1}.get(words)
    if ahead is None and words.removeprefix("next ") in WEEKDAYS:
        ahead = (WEEKDAYS.index(words.removeprefix("next ")) - today.weekday() - 1) % 7 + 1
    if ahead is not None:
        then = today.date() + timedelta(days=ahead)
        return Date(then.year, then.month, then.day)
    for form in DAYS:
        if match := re.fullmatch(form, words):
            try:
                return Date(int(match["year"]), int(match["month"]), int(match["day"]))
            except ValueError:
                return None
    return None
