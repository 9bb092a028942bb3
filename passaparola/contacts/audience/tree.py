"""What an audience asks, as a tree of plain values: parsed from words, stored as JSON, compiled to SQL.

Every leaf is true or false of every contact, never unknown: `!=` and `not in` are the negation of `=` and `in`,
so "not (nps >= 9)" keeps those who never answered.
"""

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from whenever import Instant

Value = str | bool | float
Sign = Literal["=", ">=", "<=", ">", "<"]
Unit = Literal["hour", "day", "week", "month", "year"]


class Condition(BaseModel):
    """A part of a question. `text` is how the marketer wrote it; two parts that ask the same are equal however they
    are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    text: str = Field("", repr=False, exclude=True)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.model_dump() == other.model_dump()

    __hash__ = BaseModel.__hash__

    @property
    def parts(self) -> tuple["Node", ...]:
        return ()

    def walk(self) -> Iterator["Condition"]:
        yield self
        for part in self.parts:
            yield from part.walk()


class Window(BaseModel):
    """A span that ends now, or one with a fixed edge. Dates are midnights on the clock that `now` is on: the
    house's."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    within: tuple[int, Unit] | None = None
    longer_ago: tuple[int, Unit] | None = None
    since: date | None = None
    before: date | None = None

    def edges(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Return the first instant inside, and the first instant after; None is open."""
        start = ago(now, *self.within) if self.within else self._midnight(self.since, now)
        end = ago(now, *self.longer_ago) if self.longer_ago else self._midnight(self.before, now)
        return start, end

    @staticmethod
    def _midnight(day: date | None, now: datetime) -> datetime | None:
        return datetime.combine(day, time(), now.tzinfo) if day else None


ALWAYS = Window()


def ago(now: datetime, number: int, unit: Unit) -> datetime:
    """Step back in time: by elapsed hours, or by days and longer on the calendar of the zone that `now` is in."""
    at = Instant.from_timestamp(now.timestamp()).to_tz(getattr(now.tzinfo, "key", "UTC"))
    match unit:
        case "hour":
            at = at.subtract(hours=number)
        case "day":
            at = at.subtract(days=number)
        case "week":
            at = at.subtract(weeks=number)
        case "month":
            at = at.subtract(months=number)
        case "year":
            at = at.subtract(years=number)
    return datetime.fromtimestamp(at.timestamp(), tz=now.tzinfo).replace(microsecond=now.microsecond)


class All(Condition):
    kind: Literal["all"] = "all"
    of: tuple["Node", ...]

    @property
    def parts(self) -> tuple["Node", ...]:
        return self.of


class Any(Condition):
    kind: Literal["any"] = "any"
    of: tuple["Node", ...]

    @property
    def parts(self) -> tuple["Node", ...]:
        return self.of


class Not(Condition):
    kind: Literal["not"] = "not"
    part: "Node"

    @property
    def parts(self) -> tuple["Node", ...]:
        return (self.part,)


class Everyone(Condition):
    kind: Literal["everyone"] = "everyone"


class Compared(Condition):
    kind: Literal["compared"] = "compared"
    trait: str
    sign: Sign
    value: Value


class OneOf(Condition):
    kind: Literal["one_of"] = "one_of"
    trait: str
    values: tuple[Value, ...]


class TextMatch(Condition):
    """A text trait that contains or starts with something; capitals matter."""

    kind: Literal["written"] = "written"
    trait: str
    how: Literal["contains", "starts"]
    value: str


class HasTrait(Condition):
    kind: Literal["known"] = "known"
    trait: str


class Filter(BaseModel):
    """A comparison with a property of an event; `amount` is its money, in major units."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    sign: Sign
    value: Value
    negated: bool = False


class EventCount(Condition):
    """An event of a kind took place at least `at_least` times and, where `at_most` is given, no more often than
    that."""

    kind: Literal["happened"] = "happened"
    event: str
    at_least: int = 1
    at_most: int | None = None
    filters: tuple[Filter, ...] = ()
    window: Window = ALWAYS


class FirstOrLast(Condition):
    """The first or the last event of a kind lies in a window, or has a property."""

    kind: Literal["edge"] = "edge"
    event: str
    which: Literal["first", "last"]
    window: Window = ALWAYS
    filter: Filter | None = None


class Total(Condition):
    """The amounts of the events of a kind, summed in one currency; no event counts as nothing spent."""

    kind: Literal["total"] = "total"
    event: str
    sign: Sign
    value: float
    currency: str | None = Field(None, description="none: the house currency")
    filters: tuple[Filter, ...] = ()
    window: Window = ALWAYS


class HasConsent(Condition):
    kind: Literal["consents"] = "consents"
    topic: str
    medium: str = "email"


class HasAddress(Condition):
    kind: Literal["reach"] = "reach"
    medium: str
    verified: bool = False


class InAudience(Condition):
    kind: Literal["in_audience"] = "in_audience"
    audience: str


class Birthday(Condition):
    kind: Literal["birthday"] = "birthday"
    days: int = Field(description="from today on, today included")


Node = Annotated[
    All
    | Any
    | Not
    | Everyone
    | Compared
    | OneOf
    | TextMatch
    | HasTrait
    | EventCount
    | FirstOrLast
    | Total
    | HasConsent
    | HasAddress
    | InAudience
    | Birthday,
    Field(discriminator="kind"),
]
for _model in (All, Any, Not):
    _model.model_rebuild()
