"""The models of a campaign's file. They are strict, so that a typo is an error in a check and not a silent failure."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    TypeAdapter,
    field_validator,
    model_validator,
)

from passaparola.content import read_yaml
from passaparola.durations import UNITS, parse_duration
from passaparola.errors import Unknown, did_you_mean
from passaparola.journeys import times
from passaparola.journeys.times import Wait

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
PRIORITIES = {"high": 1, "normal": 0, "low": -1}


def _parse_duration(value: object) -> Any:
    """Parse a duration, `6 hours`, as people write it."""
    return parse_duration(value) if isinstance(value, str) else value


def _format_duration(length: timedelta) -> str:
    unit = next(unit for unit in ("week", "day", "hour", "minute") if not length % UNITS[unit])
    return f"{length // UNITS[unit]} {unit}s"


def _parse_share(value: object) -> Any:
    """Parse a share, `5%`, as people write it."""
    if isinstance(value, str) and (matched := re.fullmatch(r"(\d{1,2}(\.\d)?) ?%", value.strip())):
        return float(matched[1]) / 100
    raise ValueError("write a share such as 5%")


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration, json_schema_input_type=str),
    PlainSerializer(_format_duration, return_type=str, when_used="json"),
]
Share = Annotated[float, BeforeValidator(_parse_share, json_schema_input_type=str)]


class Enter(BaseModel):
    """What starts an enrolment: an audience, once or on a schedule; or an event."""

    model_config = ConfigDict(extra="forbid")
    audience: str | None = Field(None, pattern=NAME_PATTERN, description="a file of audiences/; everyone in it enters")
    every: str | None = Field(None, description="first Monday at 09:00, Tuesday at 10:00, day at 08:30, or cron")
    zone: str | None = Field(None, description="the clock of `every`, such as Europe/Rome; default: the house clock")
    on: str | None = Field(
        None, pattern=NAME_PATTERN, description="an event, such as order_completed; who does it enters"
    )
    key: str | None = Field(
        None, pattern=NAME_PATTERN, description="a property of the event: once per order_id, not once ever"
    )
    again: str | None = Field(None, description="never, always, or after 90 days")

    @field_validator("every")
    @classmethod
    def a_schedule(cls, text: str | None) -> str | None:
        if text is not None:
            times.parse_schedule(text)
        return text

    @field_validator("zone")
    @classmethod
    def a_zone(cls, zone: str | None) -> str | None:
        from zoneinfo import available_timezones

        if zone is not None and zone not in available_timezones():
            raise ValueError(f"“{zone}” is not a zone{did_you_mean(zone, available_timezones())}")
        return zone

    @field_validator("again")
    @classmethod
    def a_rule(cls, again: str | None) -> str | None:
        if again is not None and not re.fullmatch(r"never|always|after \d{1,4} (day|week)s?", again):
            raise ValueError("write never, always, or after 90 days")
        return again

    @model_validator(mode="after")
    def one_way_in(self) -> Self:
        if (self.audience is None) == (self.on is None):
            raise ValueError("write either “audience”, whose people enter, or “on”, an event that lets them in")
        for name, needs in (("every", "audience"), ("key", "on"), ("zone", "every")):
            if getattr(self, name) is not None and getattr(self, needs) is None:
                raise ValueError(f"“{name}” goes with “{needs}”")
        return self

    @property
    def rule(self) -> str:
        """Return the re-entry rule: a broadcast says a thing once, an order is thanked for each time."""
        return self.again or ("always" if self.key else "never")


class Leave(BaseModel):
    """What ends a passage early: an event (of the same key, where the campaign has one), or a condition."""

    model_config = ConfigDict(extra="forbid")
    on: str | None = Field(None, pattern=NAME_PATTERN, description="an event, such as order_refunded")
    when: str | None = Field(None, description="a sentence in the audience language")

    @model_validator(mode="after")
    def something(self) -> Self:
        if self.on is None and self.when is None:
            raise ValueError("write “on”, an event, or “when”, a condition")
        return self


class Goal(BaseModel):
    """What counts as success: an event after the one that started the passage."""

    model_config = ConfigDict(extra="forbid")
    on: str = Field(pattern=NAME_PATTERN)
    within: Duration = Field(timedelta(days=30), description="60 days after entering")


class Step(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    when: str | None = Field(None, description="only for those of whom this is true; the others go past it")


class Say(Step):
    """Says something, by one or more media; a public medium carries one post per launch."""

    say: str = Field(pattern=NAME_PATTERN, description="a folder of templates/")
    by: list[str] = Field(min_length=1, description="email, twitter, …")
    variants: dict[str, int] = Field({}, description="{a: 50, b: 50}: sub-folders of the message that share people")

    @field_validator("variants")
    @classmethod
    def shares(cls, variants: dict[str, int]) -> dict[str, int]:
        if variants and (len(variants) < 2 or sum(variants.values()) != 100 or min(variants.values()) < 1):
            raise ValueError("give two or more variants a share each, 100 in all: {a: 50, b: 50}")
        if odd := [name for name in variants if not re.fullmatch(NAME_PATTERN, name)]:
            raise ValueError(f"“{odd[0]}” is not the name of a sub-folder")
        return variants


class Pause(Step):
    """Waits, on the contact's own clock."""

    wait: str = Field(description="7 days, until 10:00, until Saturday, until the next working day")
    at: str = Field("", description="a time of the day on the contact's clock, such as 10:00")

    @model_validator(mode="after")
    def understood(self) -> Self:
        self.ends()
        return self

    def ends(self) -> Wait:
        return times.parse_wait(self.wait, self.at)


class WaitFor(Step):
    """Waits for something to happen, and no longer than it says."""

    wait_for: str = Field(alias="wait for", pattern=NAME_PATTERN, description="an event, such as survey_answered")
    up_to: Duration | None = Field(None, alias="up to", description="5 days; then it goes on all the same")


def _step_kind(step: Any) -> str:
    given = step if isinstance(step, dict) else step.model_dump(by_alias=True)
    return "function-wait-for" if "wait for" in given else "function-wait" if "wait" in given else "function-say"


AnyStep = Annotated[
    Annotated[Say, Tag("function-say")]
    | Annotated[Pause, Tag("function-wait")]
    | Annotated[WaitFor, Tag("function-wait-for")],
    Discriminator(_step_kind),
]
STEP: TypeAdapter[Say | Pause | WaitFor] = TypeAdapter(AnyStep)


class Campaign(BaseModel):
    """The plan: who enters, what is said and when, when to leave, and what it is for."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    title: str = Field(min_length=1)
    topic: str = Field(pattern=NAME_PATTERN, description="the subject that contacts said yes or no to")
    enter: Enter
    leave: Leave | None = None
    goal: Goal | None = None
    holdout: Share = Field(0.0, description="5%: never written to, so that the effect can be measured")
    priority: Literal["high", "normal", "low"] = Field("normal", description="who goes first where people are capped")
    steps: list[AnyStep] = Field(min_length=1)
    locale: str = Field("", description="the language of public posts; default: the house language")
    late: Duration | None = Field(
        None, alias="if late by more than", description="6 hours: what could not go out by then is held"
    )

    def say_steps(self) -> Iterator[Say]:
        yield from (step for step in self.steps if isinstance(step, Say))

    def wordings_needed(self) -> Iterator[tuple[str, str]]:
        """Return every wording that the campaign needs, as message and medium; a variant is the message's
        sub-folder."""
        for step in self.say_steps():
            for medium in step.by:
                for variant in step.variants or ("",):
                    yield f"{step.say}/{variant}".rstrip("/"), medium


def campaign_names(home: Path) -> list[str]:
    return sorted(path.stem for path in (home / "campaigns").glob("*.yaml"))


def read_campaign(home: Path, name: str) -> Campaign:
    """Read a campaign's file, each field by itself; `journeys.validate` checks it as a whole. Raises Unknown,
    BadContent."""
    if name not in (known := campaign_names(home)):
        raise Unknown(f"There is no campaign “{name}”{did_you_mean(name, known)}")
    return read_yaml(home / "campaigns" / f"{name}.yaml", Campaign, home)


def json_schema() -> str:
    """Build the JSON schema for editors: `# yaml-language-server: $schema=../docs/campaign.schema.json`."""
    return json.dumps(Campaign.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"
