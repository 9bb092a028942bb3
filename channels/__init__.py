"""How to speak and how to listen. The folder is the registry: a file here is a channel, nothing else is edited."""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from channels.base import Channel
from channels.hearing import Ear, Poll, Webhook
from errors import Unknown, did_you_mean
from settings import Settings

VOCABULARY = ("base", "hearing", "naming")


def _files() -> list[str]:
    found = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(name for name in found if not name.startswith("_") and name not in VOCABULARY)


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
    found: type[Ear] = _listening(name, Ear)
    return found


@cache
def webhook(name: str) -> type[Webhook]:
    """The ear of a file that others speak into. Raises Unknown."""
    found: type[Webhook] = _listening(name, Webhook)
    return found


@cache
def polls() -> list[str]:
    """The ears that go and look."""
    return [name for name in _files() if _of(name, Poll)]


def _listening(name: str, kind: type) -> Any:
    found = _of(name, kind) if name in _files() else None
    if found is None:
        raise Unknown(f"Nothing here listens to “{name}”{did_you_mean(name, ears())}")
    return found


def _of(name: str, kind: type) -> Any:
    module = import_module(f"channels.{name}")
    found = (value for value in vars(module).values() if isinstance(value, type) and issubclass(value, kind))
    return next((own for own in found if getattr(own, "name", None) == name), None)


def speaking(medium: str, settings: Settings) -> type[Channel]:
    """The channel whose rules and prices hold for a medium, whoever carries it. Raises Unknown."""
    return get(settings.email_channel if medium == "email" else medium)


def carrying(medium: str, settings: Settings) -> type[Channel]:
    """The channel that a medium's messages are handed to: the local mailbox until an operator says otherwise."""
    if medium != "email" and settings.social_channel == "mailbox":
        return get("mailbox")
    return speaking(medium, settings)
