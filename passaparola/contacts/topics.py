"""The topics that people choose from, `policies/topics.yaml`: their titles in each language, and the media they go
by."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from passaparola.errors import BadContent


class TopicWording(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = Field(min_length=2)
    about: str = ""


class Topic(BaseModel):
    model_config = ConfigDict(extra="forbid")
    en: TopicWording
    it: TopicWording | None = None
    media: list[str] = ["email"]
    basis: Literal["consent", "transactional"] = Field(
        "consent",
        description="transactional: of what they ordered or asked for; goes to them without a yes until they mute it",
    )
    sign_up: bool = Field(False, description="offered on the sign-up page")

    def words(self, language: str) -> TopicWording:
        return self.it if language == "it" and self.it else self.en


def load_topics(home: Path) -> dict[str, Topic]:
    """Load the topics. Raises BadContent."""
    path = home / "policies" / "topics.yaml"
    return _read_topics(path, path.stat().st_mtime_ns) if path.is_file() else {}


def basis_of(home: Path, name: str) -> str:
    """Return on what basis a topic's messages go out. Raises BadContent."""
    described = load_topics(home).get(name)
    return described.basis if described else "consent"


def plain_topic(name: str) -> Topic:
    """Make the wording of a topic that no file describes."""
    return Topic(en=TopicWording(title=name.replace("_", " ").capitalize()))


@cache
def _read_topics(path: Path, changed: int) -> dict[str, Topic]:
    where = "policies/topics.yaml"
    try:
        document: Any = yaml.safe_load(path.read_text("utf-8")) or {}
        return {str(name): Topic.model_validate(fields) for name, fields in document.items()}
    except (yaml.YAMLError, AttributeError, UnicodeDecodeError):
        raise BadContent("this is not YAML of topics", where) from None
    except ValidationError as error:
        problem = error.errors()[0]
        raise BadContent(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}", where) from None
