"""Read the headers of a stranger's email: bounded, and a broken one is none."""

import re
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from email.utils import parsedate_to_datetime

from passaparola.channel.message_ids import find_signed_id

MAX_HEADER_FIELDS, MAX_HEADER_BYTES = (
    500,
    8_000,
)  # of a letter's header, in bytes; References of a long thread are the longest


def bound_headers(raw: bytes) -> bytes:
    """Cut a header to as many and as long fields as an email needs: reading one costs the square of its length."""
    ends = re.search(rb"\r?\n\r?\n", raw)
    head, rest = (raw[: ends.start()], raw[ends.start() :]) if ends else (raw, b"")
    fields = re.split(rb"\r?\n(?![ \t])", head, maxsplit=MAX_HEADER_FIELDS)[:MAX_HEADER_FIELDS]
    bounded = [
        field if len(field) <= MAX_HEADER_BYTES else field[:MAX_HEADER_BYTES].rpartition(b"\n")[0] or field[:998]
        for field in fields
    ]
    return b"\r\n".join(bounded) + rest


def find_message_id(raw: bytes, secret: str) -> str:
    return find_signed_id(secret, raw.decode("ascii", "replace"))


def sent_at(mail: EmailMessage) -> datetime:
    now = datetime.now(UTC)
    try:
        at = parsedate_to_datetime(header(mail, "date"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return now
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(at.astimezone(UTC), now) if 1990 < at.year < 2200 else now


def header(mail: Message, name: str) -> str:
    """Read a header; an empty string where it is broken or missing."""
    try:
        return str(mail.get(name, "")).replace("\x00", "").strip()
    except Exception:
        return ""


def text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
