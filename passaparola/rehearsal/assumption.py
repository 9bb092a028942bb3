"""What everyone in a rehearsal is assumed to do."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from passaparola.durations import UNITS
from passaparola.errors import BadContent

ANSWER_DELAY = timedelta(hours=4)  # of a question, unless the assumption says otherwise


ACTION_DELAY = timedelta(days=1)  # of entering


@dataclass(frozen=True)
class Assumption:
    """An assumption that everyone does something: a while after having entered, or after the campaign began to wait
    for it."""

    kind: str
    properties: dict[str, Any]
    after: timedelta | None
    text: str

    @classmethod
    def parse(cls, text: str) -> "Assumption":
        """Parse an assumption: `answers survey 9`, `order_completed`, `order_refunded after 2 days`,
        `survey_answered score=3`."""
        words = re.sub(r"^answers survey (\d+)", r"survey_answered score=\1", " ".join(text.split()))
        matched = re.fullmatch(r"([a-z][a-z0-9_]*)((?: \w+=\S+)*)(?: after (\d+) (minute|hour|day|week)s?)?", words)
        if not matched:
            raise BadContent(
                f"“{text}” can't be assumed; write answers survey 9, order_completed, or order_refunded after 2 days"
            )
        given = dict(pair.split("=", 1) for pair in matched[2].split())
        properties = {
            name: float(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else value for name, value in given.items()
        }
        after = int(matched[3]) * UNITS[matched[4]] if matched[3] else None
        return cls(matched[1], properties, after, text)
