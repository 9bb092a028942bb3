"""How to speak and how to listen. The folder is the registry: a file here is a channel, nothing else is edited."""

from datetime import timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from channels.base import Channel, Look
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


@cache
def spoken() -> frozenset[str]:
    """Every medium that a file here speaks."""
    return frozenset(get(name).medium for name in names())


@cache
def media() -> frozenset[str]:
    """Every medium that a file here speaks or hears people on."""
    return spoken() | {medium for name in ears() for medium in ear(name).media}


def look(medium: str) -> Look:
    """How people know a medium, also one that nobody here speaks."""
    return next((one.look for one in map(get, names()) if one.medium == medium), Look(medium.capitalize()))


def address_of(medium: str) -> str:
    """The kind of address that a medium's messages go to."""
    return next((one.address for one in map(get, names()) if one.medium == medium and one.address), medium)


def window_of(medium: str) -> timedelta | None:
    """For how long after someone's word a medium may write freely; None: always."""
    return next((one.window for one in map(get, names()) if one.medium == medium and one.window), None)


def speaking(medium: str, settings: Settings) -> type[Channel]:
    """The channel whose rules and prices hold for a medium, whoever carries it. Raises Unknown."""
    return get(settings.email_channel if medium == "email" else medium)


def carrying(medium: str, settings: Settings) -> type[Channel]:
    """The channel that a medium's messages are handed to: the local mailbox until an operator says otherwise."""
    if medium != "email" and settings.social_channel == "mailbox":
        return get("mailbox")
    return speaking(medium, settings)
