"""The policy of care, `policies/care.yaml`: what people write about, who answers what, in which hours, and how fast."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from holidays import country_holidays, list_supported_countries
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from whenever import Date, Time

from passaparola.content import read_yaml
from passaparola.durations import parse_duration
from passaparola.errors import BadContent

Kind = Literal["complaint", "low_score", "request", "question", "praise", "remark"]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
BY_SEVERITY: tuple[Kind, ...] = ("complaint", "low_score", "request", "question", "praise", "remark")
# While one of these is not closed, nothing is sold to the person.
BLOCKS_MARKETING: tuple[Kind, ...] = ("complaint", "low_score", "request")
MAX_DAYS_AHEAD = 400


def _parse_span(words: object) -> Any:
    return parse_duration(words) if isinstance(words, str) else words


def _check_hours(words: str) -> str:
    parse_open_hours(words)
    return words


def _check_country(code: str) -> str:
    if code and code not in list_supported_countries():
        raise ValueError(f"“{code}” is not a country whose holidays are known; write its code, such as IT")
    return code


Span = Annotated[timedelta, BeforeValidator(_parse_span)]
Hours = Annotated[str, AfterValidator(_check_hours)]


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Topic(StrictModel):
    """One thing that people write about, and how its words begin, in any language."""

    title: str
    words: list[str] = Field(min_length=1)


class RuleCondition(StrictModel):
    kind: list[Kind] | Kind | None = None
    topic: list[str] | str | None = None
    medium: list[str] | str | None = None
    language: list[str] | str | None = None
    sentiment: Literal["bad", "neutral", "good"] | None = None


class Rule(StrictModel):
    when: RuleCondition = RuleCondition()
    team: str
    priority: int = Field(0, ge=0, le=9)
    within: Span | None = Field(None, alias="answer within")
    escalate: str = Field("", alias="escalate to", description="which team gets it when the time is up")


class Scores(StrictModel):
    """The scores from which on an answer is low or high, from 0 to 10; other scales are brought to it."""

    low: int = Field(6, ge=0, le=10, description="up to this, an answer to a survey opens a conversation")
    high: int = Field(9, ge=0, le=10, description="from this, someone is asked to pass the word on")


class CarePolicy(StrictModel):
    title: str = ""
    hours: Hours = "mon-fri 09:00-18:00"
    country: Annotated[str, AfterValidator(_check_country)] = Field(
        "", description="whose public holidays are days off"
    )
    topics: dict[str, Topic] = {}
    scores: Scores = Scores()
    rules: list[Rule] = []

    def rule_for(self, facts: "ConversationFacts") -> Rule:
        """Return the first rule that fits."""
        return next((rule for rule in self.rules if _matches(rule.when, facts)), Rule(team="care"))


@dataclass(frozen=True)
class ConversationFacts:
    """What is known of a conversation when the rules are asked."""

    kind: str
    topic: str
    medium: str
    language: str
    sentiment: float


def load_policy(home: Path) -> CarePolicy:
    """Load the policy of care, or a plain one where there is no file. Raises BadContent."""
    path = home / "policies" / "care.yaml"
    return _read_policy(path, path.stat().st_mtime_ns, home) if path.is_file() else CarePolicy()


def current_policy(home: Path) -> CarePolicy:
    """Return the policy, or a plain one while its file cannot be read: no conversation is dropped for a typo.
    `passaparola check` names it."""
    try:
        return load_policy(home)
    except BadContent:
        return CarePolicy()


@cache
def _read_policy(path: Path, changed: int, home: Path) -> CarePolicy:
    return read_yaml(path, CarePolicy, home)


def _matches(when: RuleCondition, facts: ConversationFacts) -> bool:
    def one_of(wanted: object, is_: str) -> bool:
        return wanted is None or is_ in (wanted if isinstance(wanted, list) else [wanted])

    return (
        one_of(when.kind, facts.kind)
        and one_of(when.topic, facts.topic)
        and one_of(when.medium, facts.medium)
        and one_of(when.language, facts.language)
        and one_of(when.sentiment, mood_of(facts.sentiment))
    )


def mood_of(sentiment: float) -> str:
    return "bad" if sentiment <= -0.2 else "good" if sentiment >= 0.2 else "neutral"


@cache
def parse_open_hours(words: str) -> tuple[frozenset[int], time, time]:
    """Parse open hours: `mon-fri 09:00-18:00`, `mon,wed,sat 10:00-13:00`. Raises ValueError."""
    match = re.fullmatch(r"([a-z]{3}(?:[-,][a-z]{3})*) (\d\d:\d\d)-(\d\d:\d\d)", words.strip())
    try:
        days: set[int] = set()
        for piece in match[1].split(",") if match else []:
            first, _, last = piece.partition("-")
            start, end = DAYS.index(first), DAYS.index(last or first)
            days |= {(start + n) % 7 for n in range((end - start) % 7 + 1)}
        opens, closes = (time.fromisoformat(edge) for edge in (match[2], match[3])) if match else (time(), time())
    except ValueError:
        match = None
    if not match or not opens < closes:
        raise ValueError(f"“{words}” are not hours; write them like mon-fri 09:00-18:00")
    return frozenset(days), opens, closes


def response_due_at(care: CarePolicy, within: timedelta, received_at: datetime, zone: str) -> datetime:
    """Compute when the time for an answer is up, counted in open hours only, on the house's clock; a day is a
    working day."""
    days, opens, closes = parse_open_hours(care.hours)
    local = received_at.astimezone(ZoneInfo(zone))
    left = within.days * _hours_between(opens, closes) + timedelta(seconds=within.seconds)
    off: Any = country_holidays(care.country, years=[local.year, local.year + 1]) if care.country else {}
    day = Date(local.year, local.month, local.day)
    for _ in range(MAX_DAYS_AHEAD):
        date = day.to_stdlib()
        if date.weekday() in days and date not in off:
            start = max(_at(day, opens, zone), received_at)
            end = _at(day, closes, zone)
            if end > start:
                if left <= end - start:
                    return start + left
                left -= end - start
        day = day.add(days=1)
    return received_at + within


def _hours_between(opens: time, closes: time) -> timedelta:
    return timedelta(hours=closes.hour - opens.hour, minutes=closes.minute - opens.minute)


def _at(day: Date, clock: time, zone: str) -> datetime:
    moment = day.at(Time(clock.hour, clock.minute)).assume_tz(zone, disambiguation="compatible")
    return datetime.fromtimestamp(moment.timestamp(), tz=ZoneInfo("UTC"))


def most_severe(kinds: Sequence[str]) -> str:
    return min(kinds, key=lambda kind: BY_SEVERITY.index(kind) if kind in BY_SEVERITY else 99)
