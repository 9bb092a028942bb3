"""A Telegram channel and its bot: posts to the channel, answers to those who write to the bot.

Telegram has no idempotency key, and a bot cannot read a channel back: what was lost stays unknown until someone looks.
Limits: https://core.telegram.org/bots/api and https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
"""

from typing import TYPE_CHECKING, Any

import orjson
from pydantic import SecretStr

from passaparola.channel import posts
from passaparola.channel.http import CredentialsRefused, HttpApi, HttpReply, resume_hint
from passaparola.channel.sender import Branding, Dispatch, Skeleton
from passaparola.errors import Blocked, ChannelError, Misconfigured, Refused, Slower
from passaparola.failpoints import failpoint
from passaparola.settings import FromEnvironment

if TYPE_CHECKING:
    from aiohttp import FormData

MAX_CAPTION_CHARS = 1_024


class TelegramSettings(FromEnvironment):
    telegram_bot_token: SecretStr = SecretStr("")
    telegram_channel: str = ""  # @name of a channel in which the bot is an administrator
    telegram_api_url: str = "https://api.telegram.org"


class TelegramSender(posts.PostSender):
    name = "telegram"
    medium = "telegram"
    timeout = 30.0
    limits = posts.PostLimits(4_096, 10, 10 * 1024 * 1024)
    branding = Branding("Telegram", "#229ed9", bubble=True, share="https://t.me/share/url?url={url}&text={text}")

    def __init__(self) -> None:
        self.api = open_bot(self.timeout / 2)
        self.channel = TelegramSettings().telegram_channel
        if not self.channel:
            raise Misconfigured("Telegram needs PASSAPAROLA_TELEGRAM_CHANNEL, such as @bottega")

    @classmethod
    def problems(cls, skeleton: Skeleton) -> list[str]:
        problems = super().problems(skeleton)
        length = len(posts.skeleton_text(skeleton))
        if skeleton.media and MAX_CAPTION_CHARS < length <= cls.limits.text:
            problems.append(f"{length} characters beside a picture; Telegram takes {MAX_CAPTION_CHARS} there")
        return problems

    @classmethod
    def approval_note(cls, skeleton: Skeleton) -> str:
        return f"{len(posts.skeleton_text(skeleton))} of {MAX_CAPTION_CHARS if skeleton.media else cls.limits.text}"

    async def publish(self, text: str, dispatch: Dispatch) -> str:
        from aiohttp import FormData

        pictures, form = dispatch.skeleton.media, FormData({"chat_id": self.channel})
        if not pictures:
            form.add_field("text", text)
            return await self._call("sendMessage", form)
        if len(pictures) == 1:
            name, body, kind = posts.load_picture(pictures[0])
            form.add_field("caption", text)
            form.add_field("photo", body, filename=name, content_type=kind)
            return await self._call("sendPhoto", form)
        album = []
        for n, media in enumerate(pictures):
            name, body, kind = posts.load_picture(media)
            form.add_field(f"p{n}", body, filename=name, content_type=kind)
            album.append({"type": "photo", "media": f"attach://p{n}", **({"caption": text} if n == 0 else {})})
        form.add_field("media", orjson.dumps(album).decode())
        return await self._call("sendMediaGroup", form)

    async def reply(self, to: str, text: str, dispatch: Dispatch) -> str:
        from aiohttp import FormData

        chat, _, replied = to.removeprefix("direct:").partition("/")
        form = FormData({"chat_id": chat or self.channel, "text": text})
        if replied:
            form.add_field("reply_parameters", orjson.dumps({"message_id": int(replied)}).decode())
        return await self._call("sendMessage", form, personal=True)

    async def _call(self, method: str, form: "FormData", *, personal: bool = False) -> str:
        failpoint("half_written")
        made = await self.api.call("POST", f"/{method}", personal=personal, data=form)
        return _receipt_of(made.body.get("result"))

    @classmethod
    def post_url(cls, receipt: str) -> str:
        name, _, number = receipt.partition("/")
        return f"https://t.me/{name}/{number}" if not name.lstrip("-").isdigit() else ""

    async def close(self) -> None:
        await self.api.close()


def open_bot(timeout: float) -> "TelegramApi":
    """Open the bot's API. Raises Misconfigured."""
    settings = TelegramSettings()
    token = settings.telegram_bot_token.get_secret_value()
    if not token:
        raise Misconfigured("Telegram needs PASSAPAROLA_TELEGRAM_BOT_TOKEN, which @BotFather gives")
    return TelegramApi("telegram", "Telegram", f"{settings.telegram_api_url.rstrip('/')}/bot{token}", timeout)


class TelegramApi(HttpApi):
    def interpret(self, reply: HttpReply, failure: type[ChannelError]) -> ChannelError | None:
        reason = self.reason(reply)
        after = (reply.body.get("parameters") or {}).get("retry_after")
        if reply.status == 429 and isinstance(after, int):
            return Slower("Telegram asks us to slow down", after=float(after))
        if reply.status in (401, 404):
            return CredentialsRefused(f"Telegram does not know this bot token; {resume_hint('telegram')}")
        if reply.status == 403:
            return (
                Refused(f"Telegram: {reason}")
                if "user" in reason
                else Blocked(f"Telegram: {reason}; {resume_hint('telegram')}")
            )
        if "chat not found" in reason or "not enough rights" in reason:
            return Blocked(
                f"Telegram: {reason}: make the bot an administrator of the channel, {resume_hint('telegram')}"
            )
        return None

    def reason(self, reply: HttpReply) -> str:
        return str(reply.body.get("description") or f"it answered {reply.status}")[:300]


def _receipt_of(result: Any) -> str:
    first = result[0] if isinstance(result, list) and result else result
    chat = first.get("chat") or {}
    return f"{chat.get('username') or chat.get('id')}/{first.get('message_id')}"
