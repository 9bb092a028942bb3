"""What is said to a Telegram bot, and under a channel's posts: by webhook, believed by its secret token, or fetched.

A bot has one or the other: while a webhook is set, getUpdates is refused. https://core.telegram.org/bots/api#getting-updates
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from pydantic import SecretStr

from passaparola.channel.receiver import InboundEvent, InboundText, ParseResult, Poll, RawPayload, Webhook
from passaparola.channel.signed_webhook import (
    as_mapping,
    clean_text,
    parse_instant,
    parse_json,
    parse_mime_part,
    split_secrets,
)
from passaparola.errors import Forged, Misconfigured
from passaparola.settings import FromEnvironment

UPDATES = ["message", "edited_message", "channel_post", "message_reaction"]


class ReceiverSettings(FromEnvironment):
    telegram_webhook_secret: SecretStr = SecretStr("")


class TelegramReceiver(Webhook, Poll):
    name = "telegram"

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = split_secrets(
            ReceiverSettings().telegram_webhook_secret.get_secret_value(), "TELEGRAM_WEBHOOK_SECRET"
        )
        given = headers.get("x-telegram-bot-api-secret-token", "").encode()
        held = [hmac.compare_digest(given, secret.encode()) for secret in secrets]
        if not any(held):
            raise Forged("The secret token does not hold.")
        return f"update:{int(parse_json(body)['update_id'])}" if "update_id" in parse_json(body) else None

    async def poll(self, since: str) -> tuple[Sequence[RawPayload], str]:
        from passaparola.channels.telegram.sender import open_bot

        if ReceiverSettings().telegram_webhook_secret.get_secret_value():
            raise Misconfigured("Telegram tells us by webhook")
        api = open_bot(15.0)
        try:
            params = {"offset": since or "0", "timeout": "0", "allowed_updates": orjson.dumps(UPDATES).decode()}
            updates = (await api.read("/getUpdates", params=params)).get("result", [])
        finally:
            await api.close()
        bodies = [RawPayload(f"update:{int(update['update_id'])}", orjson.dumps(update)) for update in updates]
        return bodies, str(max((int(update["update_id"]) for update in updates), default=int(since or 1) - 1) + 1)

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        try:
            event = _parse_message(as_mapping(parse_json(body).get("message")))
        except (ValueError, TypeError) as error:
            return ParseResult(problems=[str(error)[:200]])
        return ParseResult([event] if event else [])


def _parse_message(message: dict[str, Any]) -> InboundEvent | None:
    """Parse a message from a person, in a chat of theirs with the bot or in the channel's discussion group."""
    sender, chat = as_mapping(message.get("from")), as_mapping(message.get("chat"))
    words = str(message.get("text") or message.get("caption") or "").replace("\x00", "")[:8_000]
    if not sender or sender.get("is_bot") or not words or not chat.get("id"):
        return None
    private, number = chat.get("type") == "private", clean_text(message.get("message_id"))
    thread = clean_text(
        message.get("message_thread_id") or parse_mime_part(message, "reply_to_message", "message_id") or number
    )
    place = clean_text(chat["id"])
    traits = (
        {"first_name": clean_text(sender.get("first_name")), "last_name": clean_text(sender.get("last_name"))}
        if private
        else {}
    )
    return InboundEvent(
        kind="replied" if private or message.get("reply_to_message") else "mentioned",
        id=f"message:{place}:{number}",
        at=parse_instant(message.get("date")),
        addresses={"telegram": clean_text(sender.get("username")) or clean_text(sender.get("id"))},
        traits={name: value for name, value in traits.items() if value},
        medium="telegram",
        properties={"private": True} if private else {},
        text=InboundText(
            words, external_id=f"{place}/{number}", thread=f"direct:{place}" if private else f"{place}/{thread}"
        ),
    )
