"""Find the connectors: the folders are the registry, a file in one is a channel and nothing else is edited.

The built-in ones lie in `passaparola/channels`, a project's own in its `channels/`.
"""

import sys
from datetime import timedelta
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from passaparola.channel.receiver import Poll, Receiver, Webhook
from passaparola.channel.sender import Branding, Sender
from passaparola.errors import Misconfigured, Unknown, did_you_mean
from passaparola.settings import Settings, find_home

BUILT_IN = Path(__file__).parents[1] / "channels"


@cache
def _modules() -> dict[str, str | Path]:
    """Map each channel's name to its module: built in, or the file of a project's own."""
    modules: dict[str, str | Path] = {name: f"passaparola.channels.{name}" for name in _names_in(BUILT_IN)}
    try:
        folder = find_home() / "channels"
    except Misconfigured:
        return modules
    if (
        folder.is_dir() and not (folder / "__init__.py").exists()
    ):  # with one it is the built-in folder itself, in a checkout
        for name, path in _names_in(folder).items():
            if name in modules:
                raise Misconfigured(f"{path}: there is a built-in channel “{name}” already; give yours another name.")
            modules[name] = path
    return modules


def _names_in(folder: Path) -> dict[str, Path]:
    files = {path.stem: path for path in folder.glob("*.py")}
    packages = {path.parent.name: path for path in folder.glob("*/__init__.py")}
    return {name: path for name, path in sorted({**files, **packages}.items()) if not name.startswith("_")}


@cache
def _module(name: str) -> ModuleType:
    """Import a channel's module; a project's own one under a name that nothing else has. Raises Misconfigured."""
    place = _modules()[name]
    if isinstance(place, str):
        return import_module(place)
    spec = spec_from_file_location(f"passaparola_project_channels.{name}", place)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Misconfigured(f"{place}: it can't be imported: {type(error).__name__}: {error}") from error
    return module


@cache
def sender_names() -> list[str]:
    """Return the channels that send."""
    return [name for name in _modules() if _find_class(name, Sender)]


@cache
def receiver_names() -> list[str]:
    """Return the channels that receive."""
    return [name for name in _modules() if _find_class(name, Receiver)]


@cache
def sender_class(name: str) -> type[Sender]:
    """Return a channel's sender. Raises Unknown."""
    sender: type[Sender] | None = _find_class(name, Sender) if name in _modules() else None
    if sender is None:
        raise Unknown(f"There is no channel “{name}”{did_you_mean(name, sender_names())}")
    return sender


@cache
def receiver_class(name: str) -> type[Receiver]:
    """Return a channel's receiver. Raises Unknown."""
    receiver: type[Receiver] = _find_receiver(name, Receiver)
    return receiver


@cache
def webhook_class(name: str) -> type[Webhook]:
    """Return a channel's webhook. Raises Unknown."""
    webhook: type[Webhook] = _find_receiver(name, Webhook)
    return webhook


@cache
def poll_names() -> list[str]:
    """Return the channels that are polled."""
    return [name for name in _modules() if _find_class(name, Poll)]


def _find_receiver(name: str, kind: type) -> Any:
    receiver = _find_class(name, kind) if name in _modules() else None
    if receiver is None:
        raise Unknown(f"Nothing here listens to “{name}”{did_you_mean(name, receiver_names())}")
    return receiver


def _find_class(name: str, kind: type) -> Any:
    module = _module(name)
    classes = (value for value in vars(module).values() if isinstance(value, type) and issubclass(value, kind))
    return next((candidate for candidate in classes if getattr(candidate, "name", None) == name), None)


@cache
def sendable_media() -> frozenset[str]:
    """Return every medium that a channel here sends on."""
    return frozenset(sender_class(name).medium for name in sender_names())


@cache
def media() -> frozenset[str]:
    """Return every medium that a channel here sends or receives on."""
    return sendable_media() | {medium for name in receiver_names() for medium in receiver_class(name).media}


def branding_of(medium: str) -> Branding:
    """Return how people know a medium, also one that no sender here has."""
    return next(
        (sender.branding for sender in map(sender_class, sender_names()) if sender.medium == medium),
        Branding(medium.capitalize()),
    )


def address_kind(medium: str) -> str:
    """Return the kind of address that a medium writes to, such as phone for sms."""
    return next(
        (
            sender.address_kind
            for sender in map(sender_class, sender_names())
            if sender.medium == medium and sender.address_kind
        ),
        medium,
    )


def reply_window_of(medium: str) -> timedelta | None:
    """Return for how long after a contact's last words a medium may write freely; None: always."""
    return next(
        (
            sender.reply_window
            for sender in map(sender_class, sender_names())
            if sender.medium == medium and sender.reply_window
        ),
        None,
    )


def sender_for(medium: str, settings: Settings) -> type[Sender]:
    """Return the channel whose rules and prices hold for a medium, whoever carries it. Raises Unknown."""
    return sender_class(settings.email_channel if medium == "email" else medium)


def carrier_for(medium: str, settings: Settings) -> type[Sender]:
    """Return the channel that a medium's messages are handed to: the local mailbox until an operator says otherwise."""
    if medium != "email" and settings.social_channel == "mailbox":
        return sender_class("mailbox")
    return sender_for(medium, settings)
