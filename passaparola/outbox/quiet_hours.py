"""The hours in which nothing is sent, on each contact's own clock."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from whenever import Date, Time


def quiet_until(hours: str, zone: str, now: datetime) -> datetime | None:
    """Return when the quiet hours of a time zone end; None where they are not on. `hours` is like 21:00-08:30."""
    if not hours:
        return None
    start, end = (time.fromisoformat(edge) for edge in hours.split("-"))
    local = now.astimezone(ZoneInfo(zone))
    within = start <= local.time() < end if start < end else not end <= local.time() < start
    if not within:
        return None
    day = local.date() if local.time() < end else local.date() + timedelta(days=1)
    wake = Date(day.year, day.month, day.day).at(Time(end.hour, end.minute))
    return datetime.fromtimestamp(wake.assume_tz(zone, disambiguation="compatible").timestamp(), tz=now.tzinfo)
