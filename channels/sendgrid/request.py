"""Build the request of one dispatch: the skeleton once, and each contact's holes as substitutions."""

import secrets
from typing import TYPE_CHECKING, Any

from passaparola.channel.mime import UNSAFE, header_value
from passaparola.channel.sender import Dispatch, OutboundMessage
from passaparola.channels.sendgrid.receiver import ATTEMPT_ARG, MESSAGE_ARG

if TYPE_CHECKING:
    pass


MAX_SUBSTITUTION_BYTES = (
    10_000  # bytes per personalization; the documentation also says 50,000, so this is the safe one
)


def build_request(dispatch: Dispatch) -> dict[str, Any]:
    """Build the body of POST /v3/mail/send. Values are inserted raw, so each hole has a tag that nobody could guess."""
    sender, parts = dispatch.sender, dispatch.skeleton.parts
    tags = _unguessable_tags(parts, len(dispatch.messages[0].values)) if len(dispatch.messages) > 1 else None
    fill = tags or dispatch.messages[0].values
    body: dict[str, Any] = {
        "personalizations": [_personalization(message, tags, dispatch.attempt) for message in dispatch.messages],
        "from": {"email": sender.email, "name": sender.name},
        "subject": parts["subject"].fill(fill),
        "content": [
            {"type": "text/plain", "value": parts["text"].fill(fill)},
            {"type": "text/html", "value": parts["html"].fill(fill)},
        ],
        "categories": [dispatch.campaign[:255]],
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
        },
    }
    if sender.reply_to:
        body["reply_to"] = {"email": sender.reply_to}
    return body


def _unguessable_tags(parts: Any, count: int) -> tuple[str, ...]:
    statics = [static for part in parts.values() for static in part.statics]
    while any((nonce := secrets.token_hex(6)) in static for static in statics):
        continue
    return tuple(f"-{nonce}.{place}-" for place in range(count))


def _personalization(message: OutboundMessage, tags: tuple[str, ...] | None, attempt: int) -> dict[str, Any]:
    to = {"email": message.to_address}
    if name := _one_line(message.name):
        to["name"] = name
    person: dict[str, Any] = {
        "to": [to],
        "custom_args": {MESSAGE_ARG: message.id, ATTEMPT_ARG: str(attempt)},
        "headers": {name: header_value(value) for name, value in message.headers.items()},
    }
    if tags:
        person["substitutions"] = dict(zip(tags, message.values, strict=True))
    return person


def _one_line(name: str) -> str:
    """Return a text in one line, without signs that the API refuses or takes for several addresses."""
    if name.isprintable() and ";" not in name and "," not in name:
        return name.strip()
    return UNSAFE.sub(" ", name).translate(str.maketrans(";,", "  ")).strip()
