"""Spans of time as a marketer writes them: 30 minutes, 2 hours, 7 days, 3 weeks."""

import re
from datetime import timedelta

UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}


def parse_duration(words: str) -> timedelta:
    """Parse a span of time. Raises ValueError, in words."""
    match = re.fullmatch(r"\s*(\d{1,5})\s+(minute|hour|day|week)s?\s*", words)
    if not match or match[1].strip("0") == "":
        raise ValueError(f"“{words}” is not a span of time; write it like 30 minutes, 2 hours, 7 days or 3 weeks")
    return int(match[1]) * UNITS[match[2]]
