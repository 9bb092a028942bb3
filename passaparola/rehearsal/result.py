"""What a rehearsal shows: who gets what and when, who is held and why, in numbers and one by one."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from passaparola.outbox.pricing import Costs
from passaparola.store.states import MessageState


@dataclass(frozen=True)
class TimelineLine:
    """What happened to a number of people at one time: `sent`, or `held` with the reason."""

    at: datetime
    message: str
    medium: str
    state: str
    reason: str
    people: int


@dataclass(frozen=True)
class PlannedMessage:
    """One message to one person, on their own clock."""

    person: str
    at: datetime
    message: str
    medium: str
    state: str
    reason: str

    def __str__(self) -> str:
        because = f": {self.reason}" if self.reason else ""
        return f"{self.at:%a %d %b %H:%M}  {self.message} by {self.medium} {self.state}{because}"


@dataclass
class Rehearsal:
    campaign: str
    since: datetime
    days: int
    assumed: list[str] = field(default_factory=list)
    people: int = 0
    lines: list[TimelineLine] = field(default_factory=list)
    moments: list[PlannedMessage] = field(default_factory=list)
    costs: Costs = field(default_factory=Costs)
    outcomes: Counter[str] = field(default_factory=Counter)

    def messages_to(self, person: str) -> list[str]:
        """Return the messages that someone gets, in order."""
        return [
            moment.message for moment in self.moments if moment.person == person and moment.state == MessageState.SENT
        ]

    def timeline(self, person: str) -> list[str]:
        """Return a person's messages with everything held, as sentences on their own clock."""
        return [str(moment) for moment in self.moments if moment.person == person]

    def count_sent(self, message: str = "") -> int:
        return sum(
            line.people for line in self.lines if line.state == MessageState.SENT and message in ("", line.message)
        )

    def held_reasons(self) -> dict[str, int]:
        """Return the reasons, with how many messages each held."""
        counts: Counter[str] = Counter()
        for line in self.lines:
            if line.state != MessageState.SENT:
                counts[line.reason] += line.people
        return dict(counts)

    def per_hour(self) -> dict[tuple[datetime, str], int]:
        """Return how many go out in an hour by a medium."""
        counts: Counter[tuple[datetime, str]] = Counter()
        for line in self.lines:
            if line.state == MessageState.SENT:
                counts[line.at.replace(minute=0, second=0, microsecond=0), line.medium] += line.people
        return dict(counts)

    def as_json(self) -> dict[str, Any]:
        peak = max(self.per_hour().items(), key=lambda pair: pair[1], default=None)
        return {
            "campaign": self.campaign,
            "since": self.since.isoformat(),
            "days": self.days,
            "assumed": self.assumed,
            "people": self.people,
            "sent": self.count_sent(),
            "held": self.held_reasons(),
            "costs": self.costs.as_json(),
            "outcomes": dict(self.outcomes),
            "busiest_hour": {"at": peak[0][0].isoformat(), "medium": peak[0][1], "messages": peak[1]} if peak else None,
            "calendar": [{**vars(line), "at": line.at.isoformat()} for line in self.lines],
        }
