"""A letter that came in, read: a bounce, a complaint, a no, an out-of-office, or someone who has something to say.

RFC 3464 (delivery status), RFC 5965 (complaints), RFC 3834 (automatic replies), RFC 2919 (lists).
"""

import email
import email.policy
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.errors import MessageError
from email.message import EmailMessage, Message
from email.utils import getaddresses, parseaddr, parsedate_to_datetime
from hashlib import sha256
from typing import Any

from flufl.bounce import all_failures
from inscriptis import get_text
from mailparser_reply import EmailReplyParser

from passaparola.channel.bounces import verdict
from passaparola.channel.message_ids import NAME, bounced_to, first_named, read_name
from passaparola.channel.receiver import Happening, Heard, Said
from passaparola.channel.signed_webhook import text

LONGEST = 20_000  # characters of what someone says; the rest of a letter is attachments and quotes
MOST_LINES, LONGEST_LINE = 2_000, 1_000  # of what the quotes are looked for in; a longer line is folded for it
MOST_FIELDS, LONGEST_FIELD = 500, 8_000  # of a letter's header, in bytes; References of a long thread are the longest
MARK = (
    "\ue000"  # for private use, so no letter has it, and no space, so nobody strips it: what was folded can be unfolded
)
FOLD = f"{MARK}\n{MARK}"
LANGUAGES = ["en", "it", "de", "fr", "es"]
STOP = {"stop", "unsubscribe", "cancel", "remove", "cancellami", "cancella", "disiscrivimi", "disiscrizione", "basta"}
AWAY = re.compile(
    r"^(automatic reply|auto(matic)?[- ]?(reply|response)|out of( the)? office|abwesen|risposta automatica|assenza|fuori (sede|ufficio)|non sono in ufficio|réponse automatique)",
    re.I,
)
MACHINES = re.compile(r"^(mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?)([+@-]|$)", re.I)


def heard(raw: bytes, recipients: Iterable[str], secret: str) -> Heard:
    """`recipients` are those of the envelope, where they are known. Raises ValueError: this is no letter."""
    raw = _bounded(raw)
    mail: Any = email.message_from_bytes(raw, policy=email.policy.default)
    if not isinstance(mail, EmailMessage) or not (mail.keys() or mail.get_payload()):
        raise ValueError("this is not a letter")
    name = _header(mail, "message-id") or f"<{sha256(raw).hexdigest()[:40]}@nameless>"
    at = _dated(mail)
    to = [
        *recipients,
        *(address for _, address in getaddresses([_header(mail, n) for n in ("to", "cc", "delivered-to")])),
    ]
    named = next((id_ for address in to if (id_ := bounced_to(address, secret))), "")
    if mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "feedback-report":
        return _complaint(mail, name, at, named, secret)
    if (bounce := _bounce(mail, raw, name, at, named, secret)).happenings:
        return Heard(
            [one for one in bounce.happenings if one.message]
        )  # of no letter of ours, it may be anybody's joke
    return _someone(mail, name, at, secret)


def _bounded(raw: bytes) -> bytes:
    """With as many and as long header fields as a letter needs: reading one costs the square of its length."""
    ends = re.search(rb"\r?\n\r?\n", raw)
    head, rest = (raw[: ends.start()], raw[ends.start() :]) if ends else (raw, b"")
    fields = re.split(rb"\r?\n(?![ \t])", head, maxsplit=MOST_FIELDS)[:MOST_FIELDS]
    kept = [
        field if len(field) <= LONGEST_FIELD else field[:LONGEST_FIELD].rpartition(b"\n")[0] or field[:998]
        for field in fields
    ]
    return b"\r\n".join(kept) + rest


def _bounce(mail: EmailMessage, raw: bytes, name: str, at: datetime, named: str, secret: str) -> Heard:
    """Who could not be reached, for good or for now, as the report says it or as flufl.bounce reads it."""
    about = named or _ours_in(raw, secret)
    found: dict[str, tuple[str, str, str]] = {}
    for part in mail.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        for block in part.get_payload() if isinstance(part.get_payload(), list) else []:
            if isinstance(block, Message) and block.get("action"):
                _, _, address = _header(block, "final-recipient").rpartition(";")
                action, status = _header(block, "action").lower(), _header(block, "status")
                found[address.strip().lower()] = (action, status, _header(block, "diagnostic-code"))
    if not found and (named or _looks_returned(mail)):
        passing, lasting = all_failures(email.message_from_bytes(raw))
        words = _said_in(mail)
        found = {_text(address): ("delayed", "4.0.0", "") for address in passing} | {
            _text(address): ("failed", "5.0.0", words) for address in lasting
        }
    happenings = []
    for address, (action, status, why) in found.items():
        if action not in ("failed", "delayed"):
            continue  # relayed, delivered, expanded: no news of ours
        said: dict[str, Any] = {"status": status, "reason": text(why, 300)}
        if action == "failed":
            said |= _severity(status, why)
        happenings.append(
            Happening(
                kind="bounced" if action == "failed" else "deferred", id=f"{name}:{address}"[:250], at=at,
                addresses={"email": address} if "@" in address else {}, properties=said, message=about, medium="email", hearsay=True,
            )
        )  # fmt: skip
    return Heard(happenings)


def _said_in(mail: EmailMessage) -> str:
    """What a report of no standard form says, before it quotes the letter."""
    try:
        body = mail.get_body(preferencelist=("plain",))
        return str(body.get_content())[:2_000] if body is not None else ""
    except (LookupError, ValueError, MessageError, AttributeError):
        return ""


def _severity(status: str, why: str) -> dict[str, Any]:
    """A full mailbox may be emptied, and what is said of us says nothing of who lives there."""
    of = verdict(status, why)
    hard = of == "address" and not status.startswith("4")
    return {
        "bounce": "hard" if hard else "soft",
        "counts": of in ("address", "mailbox") or (of == "nothing" and status[:1] == "4"),
    }


def _complaint(mail: EmailMessage, name: str, at: datetime, named: str, secret: str) -> Heard:
    about, address = named, ""
    for part in mail.walk():
        if part.get_content_type() == "message/feedback-report":
            fields = part.get_payload()
            report: Any = fields[0] if isinstance(fields, list) and fields else email.message_from_string(str(fields))
            address = address or parseaddr(_header(report, "original-rcpt-to"))[1]
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers"):
            about = about or _ours_in(part.as_bytes(), secret)
    return Heard(
        [Happening(kind="complained", id=name[:250], at=at, addresses={"email": address} if address else {}, message=about, medium="email", hearsay=True)]
        if about
        else []
    )  # fmt: skip


def _someone(mail: EmailMessage, name: str, at: datetime, secret: str) -> Heard:
    address = parseaddr(_header(mail, "from"))[1]
    if "@" not in address:
        raise ValueError("it does not say who wrote it")
    subject = text(_header(mail, "subject"), 300)
    automatic = _automatic(mail, address, subject)
    words = _own_words(mail)
    threads = " ".join([_header(mail, "in-reply-to"), _header(mail, "references")])
    refused = _no_by_subject(subject, secret)
    about = refused or first_named(secret, threads)
    whole = Happening(
        kind="replied", id=name[:250], at=at, addresses={"email": address}, message=about, medium="email",
        machine="an automatic reply" if automatic else "",
        said=Said(words, subject, name, threads.split()[0] if threads.split() else name, automatic),
    )  # fmt: skip
    if not automatic and (refused or _only_no(words, subject)):
        no = Happening(
            kind="unsubscribed", id=f"{name}:no"[:250], at=at, addresses={"email": address}, message=about,
            properties={"way": "by letter"}, medium="email", hearsay=not refused,
        )  # fmt: skip
        return Heard([no])
    return Heard([whole])


def _automatic(mail: EmailMessage, address: str, subject: str) -> bool:
    return (
        _header(mail, "auto-submitted").lower().partition(";")[0].strip() not in ("", "no")
        or any(mail.get(name) for name in ("x-autoreply", "x-autorespond", "x-auto-response-suppress", "list-id"))
        or _header(mail, "precedence").lower() in ("bulk", "junk", "list", "auto_reply")
        or _header(mail, "return-path").strip() == "<>"
        or bool(MACHINES.match(address))
        or bool(AWAY.match(subject))
    )


def _own_words(mail: EmailMessage) -> str:
    """What they wrote themselves, without what they quote and without the signature of their telephone."""
    try:
        body = mail.get_body(preferencelist=("plain", "html"))
        content = body.get_content() if body is not None else ""
    except (LookupError, ValueError, MessageError, AttributeError):  # an unknown charset, a broken structure
        content = _text(mail.get_payload(decode=True) or b"")
        body = None
    if body is not None and body.get_content_type() == "text/html":
        try:
            content = get_text(str(content)[: LONGEST * 10])
        except Exception:  # whatever a stranger's markup does to its reader
            content = re.sub(r"<[^>]*>", " ", str(content))
    whole = _readable(str(content)[: LONGEST * 2])
    replies = EmailReplyParser(languages=LANGUAGES).read(whole).replies
    own = replies[0].body if replies else whole
    return (own or "").replace(FOLD, "").replace(MARK, "").strip()[:LONGEST]


def _readable(content: str) -> str:
    """As the reply parser can bear it: its patterns look for the ends of lines and for empty ones, and thousands of those in
    a row take it minutes. Nothing is lost but empty lines after the second."""
    lines = content.replace("\x00", "").replace(MARK, "").replace("\r\n", "\n").split("\n")[:MOST_LINES]
    folded = [FOLD.join(re.findall(f".{{1,{LONGEST_LINE}}}", line.rstrip(), re.S)) for line in lines]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(folded))[:LONGEST]


def _only_no(words: str, subject: str) -> bool:
    said = re.sub(r"\W+", " ", words).strip().lower()
    return said in STOP or (not said and subject.strip().lower() in STOP)


def _no_by_subject(subject: str, secret: str) -> str:
    """The message of ours whose List-Unsubscribe header was followed by letter."""
    found = re.fullmatch(rf"unsubscribe\s+({NAME})", subject.strip(), re.I)
    return read_name(secret, found[1]) if found else ""


def _looks_returned(mail: EmailMessage) -> bool:
    sender = parseaddr(_header(mail, "from"))[1]
    return _header(mail, "return-path").strip() == "<>" or bool(re.match(r"(mailer-daemon|postmaster)@", sender, re.I))


def _ours_in(raw: bytes, secret: str) -> str:
    return first_named(secret, raw.decode("ascii", "replace"))


def _dated(mail: EmailMessage) -> datetime:
    now = datetime.now(UTC)
    try:
        at = parsedate_to_datetime(_header(mail, "date"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return now
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(at.astimezone(UTC), now) if 1990 < at.year < 2200 else now


def _header(mail: Message, name: str) -> str:
    """A broken header is no header."""
    try:
        return str(mail.get(name, "")).replace("\x00", "").strip()
    except Exception:
        return ""


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
