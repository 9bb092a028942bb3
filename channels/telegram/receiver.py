"""What is said to a Telegram bot, and under a channel's posts: by webhook, believed by its secret token, or fetched.

A bot has one or the other: while a webhook is set, getUpdates is refused. https://core.telegram.org/bots/api#getting-updates
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from pydantic import SecretStr

from passaparola.channel.receiver import Body, Happening, Heard, Poll, Said, Webhook
from passaparola.channel.signed_webhook import at, json_of, mapping, part, secrets_of, text
from passaparola.errors import Forged, Misconfigured
from passaparola.settings import FromEnvironment

UPDATES = ["message", "edited_message", "channel_post", "message_reaction"]


class EarSettings(FromEnvironment):
    telegram_webhook_secret: SecretStr = SecretStr("")


class TelegramEar(Webhook, Poll):
    name = "telegram"

    def delivery(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = secrets_of(EarSettings().telegram_webhook_secret.get_secret_value(), "TELEGRAM_WEBHOOK_SECRET")
        given = headers.get("x-telegram-bot-api-secret-token", "").encode()
        held = [hmac.compare_digest(given, secret.encode()) for secret in secrets]
        if not any(held):
            raise Forged("The secret token does not hold.")
        return f"update:{int(json_of(body)['update_id'])}" if "update_id" in json_of(body) else None

    async def look(self, since: str) -> tuple[Sequence[Body], str]:
        from passaparola.channels.telegram.sender import bot

        if EarSettings().telegram_webhook_secret.get_secret_value():
            raise Misconfigured("Telegram tells us by webhook")
        api = bot(15.0)
        try:
            asked = {"offset": since or "0", "timeout": "0", "allowed_updates": orjson.dumps(UPDATES).decode()}
            found = (await api.read("/getUpdates", params=asked)).get("result", [])
        finally:
            await api.close()
        bodies = [Body(f"update:{int(one['update_id'])}", orjson.dumps(one)) for one in found]
        return bodies, str(max((int(one["update_id"]) for one in found), default=int(since or 1) - 1) + 1)

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        try:
            found = _message(mapping(json_of(body).get("message")))
        except (ValueError, TypeError) as error:
            return Heard(problems=[str(error)[:200]])
        return Heard([found] if found else [])


def _message(message: dict[str, Any]) -> Happening | None:
    """From a person, in a chat of theirs with the bot or in the channel's discussion group."""
    sender, chat = mapping(message.get("from")), mapping(message.get("chat"))
    words = str(message.get("text") or message.get("caption") or "").replace("\x00", "")[:8_000]
    if not sender or sender.get("is_bot") or not words or not chat.get("id"):
        return None
    private, number = chat.get("type") == "private", text(message.get("message_id"))
    thread = text(message.get("message_thread_id") or part(message, "reply_to_message", "message_id") or number)
    place = text(chat["id"])
    traits = (
        {"first_name": text(sender.get("first_name")), "last_name": text(sender.get("last_name"))} if private else {}
    )
    return Happening(
        kind="replied" if private or message.get("reply_to_message") else "mentioned", id=f"message:{place}:{number}",
        at=at(message.get("date")), addresses={"telegram": text(sender.get("username")) or text(sender.get("id"))},
        traits={name: value for name, value in traits.items() if value}, medium="telegram",
        properties={"private": True} if private else {},
        said=Said(words, name=f"{place}/{number}", thread=f"direct:{place}" if private else f"{place}/{thread}"),
    )  # fmt: skip
