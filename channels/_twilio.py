"""What Twilio's two media have in common: one call per person, a name of ours in the callback, an answer in the thread.

There is no idempotency key on creation. A lost answer is decided by the status callback, which carries our
message's name. https://www.twilio.com/docs/messaging/api/message-resource and …/docs/api/errors
"""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from pydantic import SecretStr

from passaparola.channel.http import HttpApi, HttpReply, resume_hint
from passaparola.channel.message_ids import read_signed_id, sign_message_id
from passaparola.channel.posts import missing_library
from passaparola.channel.receiver import InboundEvent, InboundText, ParseResult, Webhook
from passaparola.channel.sender import Dispatch, OutboundMessage, Sender, SendResult
from passaparola.channel.signed_webhook import body_digest, clean_text, split_secrets, without_empty
from passaparola.errors import Blocked, ChannelError, Forged, Misconfigured, Refused, Slower, Unavailable, Uncertain
from passaparola.failpoints import failpoint
from passaparola.settings import FromEnvironment, get_settings

CONCURRENT_CALLS = 10
MAX_TEXT_CHARS = 1_600
OPT_OUT_WORDS, OPT_IN_WORDS = (
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"},
    {"START", "UNSTOP"},
)
PERMANENT_ERRORS = {21211, 21214, 21217, 21408, 21610, 21614, 63003, 63016, 63024}  # this person, or this content
TEMPORARY_ERRORS = {14107, 20429, 30001, 63018}
STATUS_KINDS = {
    "sent": "accepted",
    "delivered": "delivered",
    "read": "opened",
    "undelivered": "bounced",
    "failed": "failed",
}
SENDER_ERRORS = {20003, 20404, 21603, 21606, 21659, 21660, 21701, 21703, 21705, 63007}  # our account, number or service
DEAD_NUMBER_ERRORS = {"30005", "21211"}  # nobody lives there, on whatever medium


class TwilioSettings(FromEnvironment):
    twilio_account_sid: str = ""
    twilio_auth_token: SecretStr = SecretStr("")
    twilio_api_url: str = "https://api.twilio.com"
    sms_from: str = ""  # a number, or the MG… of a messaging service
    whatsapp_from: str = ""


class TwilioSender(Sender):
    """Sends on a medium of Twilio's. `before` stands before every number of it."""

    address_kind = "phone"
    batch_size = 50
    timeout = 90.0
    before: ClassVar[str] = ""

    def __init__(self) -> None:
        settings = TwilioSettings()
        token, self.sender = settings.twilio_auth_token.get_secret_value(), getattr(settings, f"{self.name}_from")
        if not settings.twilio_account_sid or not token or not self.sender:
            raise Misconfigured(
                f"{self.branding.title} needs PASSAPAROLA_TWILIO_ACCOUNT_SID, PASSAPAROLA_TWILIO_AUTH_TOKEN "
                f"and PASSAPAROLA_{self.name.upper()}_FROM"
            )
        self.path = f"/2010-04-01/Accounts/{settings.twilio_account_sid}/Messages.json"
        from aiohttp import encode_basic_auth

        headers = {"Authorization": encode_basic_auth(settings.twilio_account_sid, token)}
        self.api = _Api(self.name, "Twilio", settings.twilio_api_url, self.timeout / 9, headers)

    async def send(self, dispatch: Dispatch) -> SendResult:
        """Send each message with a call of its own, so that an answer that is lost leaves one message unknown."""
        gate = asyncio.Semaphore(CONCURRENT_CALLS)

        async def send_within_limit(message: OutboundMessage) -> str | ChannelError:
            async with gate:
                try:
                    return await self._send_one(dispatch, message)
                except ChannelError as error:
                    return error

        ends = dict(
            zip(
                (m.id for m in dispatch.messages),
                await asyncio.gather(*map(send_within_limit, dispatch.messages)),
                strict=True,
            )
        )
        if all(isinstance(end, Blocked) for end in ends.values()) or all(
            isinstance(end, Unavailable) for end in ends.values()
        ):
            raise next(end for end in ends.values() if isinstance(end, ChannelError))
        failpoint("accepted")
        return SendResult(
            receipts={id_: end for id_, end in ends.items() if isinstance(end, str)},
            refused={id_: str(end) for id_, end in ends.items() if isinstance(end, Refused)},
            deferred={id_: str(end) for id_, end in ends.items() if isinstance(end, Unavailable | Blocked)},
            uncertain={id_: str(end) for id_, end in ends.items() if isinstance(end, Uncertain)},
        )

    async def _send_one(self, dispatch: Dispatch, message: OutboundMessage) -> str:
        form = {"To": self.before + message.to_address, **self._content(dispatch, message)}
        form |= (
            {"MessagingServiceSid": self.sender}
            if self.sender.startswith("MG")
            else {"From": self.before + self.sender}
        )
        if get_settings().public_url.startswith("https://"):  # Twilio calls nobody else
            name = sign_message_id(get_settings().secret, message.id)
            form["StatusCallback"] = f"{get_settings().public_url}/webhooks/{self.name}?m={name}"
        made = await self.api.call("POST", self.path, data=form)
        return str(made.body.get("sid", ""))

    def _content(self, dispatch: Dispatch, message: OutboundMessage) -> dict[str, str]:
        return {"Body": dispatch.skeleton.parts["text"].fill(message.values).strip()}

    async def close(self) -> None:
        await self.api.close()


class _Api(HttpApi):
    def interpret(self, reply: HttpReply, failure: type[ChannelError]) -> ChannelError | None:
        code, reason = reply.body.get("code"), self.reason(reply)
        if code in TEMPORARY_ERRORS:
            return Slower(f"Twilio asks us to slow down: {reason}", after=30.0)
        if code in PERMANENT_ERRORS:
            return Refused(f"Twilio: {reason}")
        return Blocked(f"Twilio: {reason}; {resume_hint(self.channel)}") if code in SENDER_ERRORS else None

    def reason(self, reply: HttpReply) -> str:
        """Return the API's words without anybody's number."""
        return re.sub(r"\+?\d{6,}", "…", super().reason(reply))


class TwilioReceiver(Webhook):
    """Receives Twilio's status callbacks and a contact's texts; some words of theirs are an opt-out."""

    medium: ClassVar[str]

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        try:
            from twilio.request_validator import RequestValidator
        except ImportError:
            raise missing_library("twilio", "Listening to Twilio") from None
        secrets = split_secrets(TwilioSettings().twilio_auth_token.get_secret_value(), "TWILIO_AUTH_TOKEN")
        url, form = get_settings().public_url + headers.get(":path", ""), _parse_form(body)
        given = headers.get("x-twilio-signature", "")
        held = [RequestValidator(secret).validate(url, form, given) for secret in secrets]
        if not any(held):
            raise Forged("The signature does not hold.")
        return clean_text(
            f"{form.get('MessageSid') or form.get('SmsSid')}:{form.get('MessageStatus', 'said')}"
        ) or body_digest(body)

    @classmethod
    def may_be_urgent(cls, body: bytes) -> bool:
        form = _parse_form(body)
        return _is_opt_out(form) or form.get("ErrorCode", "") in DEAD_NUMBER_ERRORS

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        form = _parse_form(body)
        at = datetime.fromisoformat(headers[":at"]) if ":at" in headers else datetime.now(UTC)
        fate = "MessageStatus" in form
        event = self._parse_status(form, headers.get(":path", ""), at) if fate else self._parse_message(form, at)
        return ParseResult([event] if event else [])

    def _parse_status(self, form: dict[str, str], path: str, at: datetime) -> InboundEvent | None:
        kind = STATUS_KINDS.get(form["MessageStatus"])
        query = dict(parse_qsl(path.partition("?")[2]))
        message = read_signed_id(get_settings().secret, query.get("m", ""))
        if kind is None or not message:
            return None
        code = form.get("ErrorCode", "")
        if kind in ("bounced", "failed") and code in DEAD_NUMBER_ERRORS:
            kind = "bounced"
        why = {"bounce": "hard" if code in DEAD_NUMBER_ERRORS else "soft"} if kind == "bounced" else {}
        return InboundEvent(
            kind=kind,
            id=f"{form.get('MessageSid', '')}:{form['MessageStatus']}",
            at=at,
            medium=self.medium,
            message=message,
            addresses=_side_address(form, "To"),
            properties=why | without_empty({"code": code or None}),
        )

    def _parse_message(self, form: dict[str, str], at: datetime) -> InboundEvent | None:
        id_, words = form.get("MessageSid", ""), form.get("Body", "").replace("\x00", "")[:MAX_TEXT_CHARS]
        addresses = _side_address(form, "From")
        if not id_ or not addresses:
            raise ValueError("a message without id or sender")
        if _is_opt_out(form):
            everything = {"everything": True}  # a word on a phone is about no letter in particular
            return InboundEvent(
                kind="unsubscribed", id=id_, at=at, addresses=addresses, medium=self.medium, properties=everything
            )
        if form.get("OptOutType", "").upper() == "START" or _single_word(words) in OPT_IN_WORDS:
            return InboundEvent(kind="resubscribed", id=id_, at=at, addresses=addresses, medium=self.medium)
        if form.get("OptOutType"):
            return None  # they asked for help, and Twilio has answered
        traits = without_empty({"first_name": form.get("ProfileName", "").partition(" ")[0] or None})
        number = addresses["phone"]
        return InboundEvent(
            kind="replied",
            id=id_,
            at=at,
            addresses=addresses,
            traits=traits,
            medium=self.medium,
            properties={"private": True},
            text=InboundText(words, external_id=id_, thread=f"direct:{number}"),
        )


def _parse_form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200))


def _side_address(form: dict[str, str], side: str) -> dict[str, str]:
    number = form.get(side, "").removeprefix("whatsapp:")
    return {"phone": number} if number.startswith("+") else {}


def _single_word(words: str) -> str:
    """Return a text's only word, with or without a full stop."""
    return re.sub(r"^\W+|\W+$", "", words).upper()


def _is_opt_out(form: dict[str, Any]) -> bool:
    return "MessageStatus" not in form and (
        form.get("OptOutType", "").upper() == "STOP" or _single_word(form.get("Body", "")) in OPT_OUT_WORDS
    )
