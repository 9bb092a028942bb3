"""Emails that come to us by SendGrid's Inbound Parse: raw or taken apart, signed like its events.

https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook.
It only receives.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from io import BytesIO
from typing import Any

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, parse_options_header

from passaparola.channel.inbound_email import parse_email
from passaparola.channel.receiver import ParseResult, Webhook
from passaparola.channel.signed_webhook import body_digest
from passaparola.channels.sendgrid.receiver import verify_signature
from passaparola.settings import FromEnvironment, get_settings

MAX_PARTS = 200


class InboundSettings(FromEnvironment):
    sendgrid_inbound_public_key: str = ""


class SendgridInboundReceiver(Webhook):
    name = "sendgrid_inbound"
    needs_deadline = True
    max_body_bytes = 31_000_000  # SendGrid takes letters of 30 MB

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        verify_signature(
            InboundSettings().sendgrid_inbound_public_key, "SENDGRID_INBOUND_PUBLIC_KEY", headers, body, now
        )
        # It has no id of its own; the same letter to the same box is the same, whatever boundary it is packed with.
        fields = _parse_form(headers, body)
        return body_digest(_rebuild_email(fields) + fields.get("envelope", b""))

    @classmethod
    def may_be_urgent(cls, body: bytes) -> bool:
        return True  # any letter may be a no, and is read whole to know it

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        fields = _parse_form(headers, body)
        try:
            envelope = orjson.loads(fields.get("envelope", b"{}"))
            to = [str(address) for address in envelope.get("to", [])][:20]
        except (orjson.JSONDecodeError, AttributeError, TypeError):
            to = []
        return parse_email(_rebuild_email(fields), to, get_settings().secret)


def _parse_form(headers: Mapping[str, str], body: bytes) -> dict[str, bytes]:
    """Return the form's texts; attachments are not read. Raises ValueError."""
    kind, options = parse_options_header(headers.get("content-type", ""))
    boundary = options.get(b"boundary") or _find_boundary(body)
    parts: dict[str, bytes] = {}

    def keep(field: Any) -> None:
        if len(parts) >= MAX_PARTS:
            raise ValueError(f"more than {MAX_PARTS} parts in one form")
        if getattr(field, "file_name", None) is None:
            parts[(field.field_name or b"").decode("utf-8", "replace")] = field.value or b""

    try:
        parser = FormParser(kind.decode() or "multipart/form-data", keep, lambda file: None, boundary=boundary)
        for start in range(0, len(body), 65_536):
            parser.write(body[start : start + 65_536])
        parser.finalize()
    except FormParserError:
        raise ValueError("this is not a form") from None
    return parts


def _find_boundary(body: bytes) -> bytes:
    first = re.match(rb"\s*--([^\r\n]{1,200})\r?\n", body)
    if not first:
        raise ValueError("this is not a form")
    return first[1]


def _rebuild_email(fields: Mapping[str, bytes]) -> bytes:
    """Return the email as it was sent, where the account forwards it raw; else rebuilt from its parts."""
    raw = fields.get("email") or fields.get("rawEmail")
    if raw:
        return raw
    try:
        charsets = orjson.loads(fields.get("charsets", b"{}"))
    except orjson.JSONDecodeError:
        charsets = {}

    def decode_field(name: str) -> str:
        charset = str(charsets.get(name, "utf-8")) if isinstance(charsets, dict) else "utf-8"
        try:
            return fields.get(name, b"").decode(charset, "replace")
        except LookupError:
            return fields.get(name, b"").decode("utf-8", "replace")

    mail = EmailMessage()
    mail.set_content(decode_field("text") or "")
    if not decode_field("text") and decode_field("html"):
        mail.set_content(decode_field("html"), subtype="html")
    headers_ = re.sub(
        r"(?im)^(content-[a-z-]+|mime-version):[^\n]*\n([ \t][^\n]*\n)*",
        "",
        decode_field("headers").replace("\r\n", "\n") + "\n",
    )
    return headers_.strip().encode("utf-8", "replace") + b"\n" + bytes(BytesIO(mail.as_bytes()).getbuffer())
