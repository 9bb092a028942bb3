"""How to speak and how to listen. The folder is the registry: a file here is a channel, nothing else is edited."""

from functools import cache
from importlib import import_module
from pathlib import Path

from channels.base import Channel
from errors import Unknown, did_you_mean
from settings import Settings


def names() -> list[str]:
    found = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(name for name in found if not name.startswith("_") and name != "base")


@cache
def get(name: str) -> type[Channel]:
    """The channel class of a file. Raises Unknown."""
    if name not in names():
        raise Unknown(f"There is no channel “{name}”{did_you_mean(name, names())}")
    module = import_module(f"channels.{name}")
    classes = (
        value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__
    )
    return next(found for found in classes if issubclass(found, Channel))


def speaking(medium: str, settings: Settings) -> type[Channel]:
    """The channel whose rules and prices hold for a medium, whoever carries it. Raises Unknown."""
    return get(settings.email_channel if medium == "email" else medium)


def carrying(medium: str, settings: Settings) -> type[Channel]:
    """The channel that a medium's messages are handed to: the local mailbox until an operator says otherwise."""
    if medium != "email" and settings.social_channel == "mailbox":
        return get("mailbox")
    return speaking(medium, settings)
