"""A file of campaigns/: the plan. Strict models, so that a typo is a sentence in a check and not a silence in March."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from contacts import audience
from contacts.audience.words import MEDIA, is_medium
from contacts.content import read_yaml
from errors import BadContent, Unknown, did_you_mean

NAME = r"^[a-z][a-z0-9_]*$"
UNITS = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800}


def _duration(said: Any) -> Any:
    """`6 hours`, as people write it."""
    if isinstance(said, str):
        matched = re.fullmatch(r"(\d{1,4}) (minute|hour|day|week)s?", said.strip())
        if not matched:
            raise ValueError("write a span such as 6 hours or 2 days")
        return timedelta(seconds=int(matched[1]) * UNITS[matched[2]])
    return said


Duration = Annotated[timedelta, BeforeValidator(_duration, json_schema_input_type=str)]


class Enter(BaseModel):
    """What starts an enrolment."""

    model_config = ConfigDict(extra="forbid")
    audience: str = Field(pattern=NAME, description="a file of audiences/; everyone in it at the launch enters")


class Say(BaseModel):
    """A step that says something, by one or more media; a public medium carries one post per launch."""

    model_config = ConfigDict(extra="forbid")
    say: str = Field(pattern=NAME, description="a folder of templates/")
    by: list[str] = Field(min_length=1, description="email, twitter, …")


class Campaign(BaseModel):
    """The plan: who enters, what is said, when it is too late."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    title: str = Field(min_length=1)
    topic: str = Field(pattern=NAME, description="the subject that contacts said yes or no to")
    enter: Enter
    steps: list[Say] = Field(min_length=1)
    locale: str = Field("", description="the language of public posts; default: the house language")
    late: Duration | None = Field(
        None, alias="if late by more than", description="6 hours: what could not go out by then is held"
    )


def names(home: Path) -> list[str]:
    return sorted(path.stem for path in (home / "campaigns").glob("*.yaml"))


def load(home: Path, name: str) -> Campaign:
    """Raises Unknown, BadContent."""
    if name not in (known := names(home)):
        raise Unknown(f"There is no campaign “{name}”{did_you_mean(name, known)}")
    path = home / "campaigns" / f"{name}.yaml"
    campaign = read_yaml(path, Campaign, home)
    where = f"{path.relative_to(home)}:{_line(path, campaign.enter.audience)}"
    if campaign.enter.audience not in (audiences := audience.names(home)):
        raise BadContent(
            f"there is no audience “{campaign.enter.audience}”{did_you_mean(campaign.enter.audience, audiences)}", where
        )
    for step in campaign.steps:
        for medium in step.by:
            if not is_medium(medium):
                at = f"{path.relative_to(home)}:{_line(path, medium)}"
                raise BadContent(f"“{medium}” is not a medium{did_you_mean(medium, MEDIA)}", at)
        if len(set(step.by)) < len(step.by):
            raise BadContent("a medium stands twice in “by”", f"{path.relative_to(home)}:{_line(path, 'by')}")
    said = [(step.say, medium) for step in campaign.steps for medium in step.by]
    if len(set(said)) < len(said):
        raise BadContent(
            "the same message is said twice by one medium", f"{path.relative_to(home)}:{_line(path, 'steps')}"
        )
    return campaign


def json_schema() -> str:
    """For editors: `# yaml-language-server: $schema=../docs/campaign.schema.json`."""
    return json.dumps(Campaign.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"


def _line(path: Path, word: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((n for n, line in enumerate(lines, 1) if re.search(rf"\b{re.escape(word)}\b", line)), 1)
