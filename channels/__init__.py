"""How to speak and how to listen. The folder is the registry: a file here is a channel, nothing else is edited."""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from channels.base import Channel, Ear
from errors import Unknown, did_you_mean
from settings import Settings


def _files() -> list[str]:
    found = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(name for name in found if not name.startswith("_") and name != "base")


@cache
def names() -> list[str]:
    """The channels that speak."""
    return [name for name in _files() if _of(name, Channel)]


@cache
def ears() -> list[str]:
    """The channels that listen."""
    return [name for name in _files() if _of(name, Ear)]


@cache
def get(name: str) -> type[Channel]:
    """The channel class of a file. Raises Unknown."""
    found: type[Channel] | None = _of(name, Channel) if name in _files() else None
    if found is None:
        raise Unknown(f"There is no channel “{name}”{did_you_mean(name, names())}")
    return found


@cache
def ear(name: str) -> type[Ear]:
    """The ear of a file. Raises Unknown."""
    found: type[Ear] | None = _of(name, Ear) if name in _files() else None
    if found is None:
        raise Unknown(f"Nothing here listens to “{name}”{did_you_mean(name, ears())}")
    return found


def _of(name: str, kind: type) -> Any:
    module = import_module(f"channels.{name}")
    own = (value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__)
    return next((found for found in own if issubclass(found, kind)), None)


def speaking(medium: str, settings: Settings) -> type[Channel]:
    """The channel whose rules and prices hold for a medium, whoever carries it. Raises Unknown."""
    return get(settings.email_channel if medium == "email" else medium)


def carrying(medium: str, settings: Settings) -> type[Channel]:
    """The channel that a medium's messages are handed to: the local mailbox until an operator says otherwise."""
    if medium != "email" and settings.social_channel == "mailbox":
        return get("mailbox")
    return speaking(medium, settings)
