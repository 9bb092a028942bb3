"""A letter that came in, read: a bounce, a complaint, a no, an out-of-office, or someone who has something to say.

RFC 3464 (delivery status), RFC 5965 (complaints), RFC 3834 (automatic replies), RFC 2919 (lists).
"""

import email
import email.policy
import re
from collections.abc import Iterable
from datetime import datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import getaddresses, parseaddr
from hashlib import sha256
from typing import Any

from inscriptis import get_text
from mailparser_reply import EmailReplyParser

from passaparola.channel.email_headers import bound_headers, header, sent_at, text
from passaparola.channel.inbound_bounces import parse_bounce, parse_complaint
from passaparola.channel.message_ids import NAME, find_signed_id, read_envelope, read_signed_id
from passaparola.channel.receiver import InboundEvent, InboundText, ParseResult
from passaparola.channel.signed_webhook import clean_text

MAX_TEXT_CHARS = 20_000  # characters of what someone says; the rest of a letter is attachments and quotes
MAX_LINES, MAX_LINE_CHARS = 2_000, 1_000  # of what the quotes are looked for in; a longer line is folded for it
MARK = (
    "\ue000"  # for private use, so no letter has it, and no space, so nobody strips it: what was folded can be unfolded
)
FOLD = f"{MARK}\n{MARK}"
LANGUAGES = ["en", "it", "de", "fr", "es"]
OPT_OUT_WORDS = {
    "stop",
    "unsubscribe",
    "cancel",
    "remove",
    "cancellami",
    "cancella",
    "disiscrivimi",
    "disiscrizione",
    "basta",
}
OUT_OF_OFFICE = re.compile(
    r"^(automatic reply|auto(matic)?[- ]?(reply|response)|out of( the)? office|abwesen|risposta "
    r"automatica|assenza|fuori (sede|ufficio)|non sono in ufficio|réponse automatique)",
    re.I,
)
AUTOMATIC_SENDERS = re.compile(r"^(mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?)([+@-]|$)", re.I)


def parse_email(raw: bytes, recipients: Iterable[str], secret: str) -> ParseResult:
    """Parse a raw email. `recipients` are those of the envelope, where they are known. Raises ValueError: this is no
    letter."""
    raw = bound_headers(raw)
    mail: Any = email.message_from_bytes(raw, policy=email.policy.default)
    if not isinstance(mail, EmailMessage) or not (mail.keys() or mail.get_payload()):
        raise ValueError("this is not a letter")
    name = header(mail, "message-id") or f"<{sha256(raw).hexdigest()[:40]}@nameless>"
    at = sent_at(mail)
    to = [
        *recipients,
        *(address for _, address in getaddresses([header(mail, n) for n in ("to", "cc", "delivered-to")])),
    ]
    named = next((id_ for address in to if (id_ := read_envelope(address, secret))), "")
    if mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "feedback-report":
        return parse_complaint(mail, name, at, named, secret)
    if (bounce := parse_bounce(mail, raw, name, at, named, secret)).events:
        return ParseResult(
            [event for event in bounce.events if event.message]
        )  # of no letter of ours, it may be anybody's joke
    return _parse_message(mail, name, at, secret)


def _parse_message(mail: EmailMessage, name: str, at: datetime, secret: str) -> ParseResult:
    address = parseaddr(header(mail, "from"))[1]
    if "@" not in address:
        raise ValueError("it does not say who wrote it")
    subject = clean_text(header(mail, "subject"), 300)
    automatic = _is_automatic(mail, address, subject)
    words = _reply_text(mail)
    threads = " ".join([header(mail, "in-reply-to"), header(mail, "references")])
    refused = _opt_out_by_subject(subject, secret)
    about = refused or find_signed_id(secret, threads)
    whole = InboundEvent(
        kind="replied",
        id=name[:250],
        at=at,
        addresses={"email": address},
        message=about,
        medium="email",
        bot_reason="an automatic reply" if automatic else "",
        text=InboundText(words, subject, name, threads.split()[0] if threads.split() else name, automatic),
    )
    if not automatic and (refused or _is_opt_out(words, subject)):
        no = InboundEvent(
            kind="unsubscribed",
            id=f"{name}:no"[:250],
            at=at,
            addresses={"email": address},
            message=about,
            properties={"way": "by letter"},
            medium="email",
            unverified=not refused,
        )
        return ParseResult([no])
    return ParseResult([whole])


def _is_automatic(mail: EmailMessage, address: str, subject: str) -> bool:
    return (
        header(mail, "auto-submitted").lower().partition(";")[0].strip() not in ("", "no")
        or any(mail.get(name) for name in ("x-autoreply", "x-autorespond", "x-auto-response-suppress", "list-id"))
        or header(mail, "precedence").lower() in ("bulk", "junk", "list", "auto_reply")
        or header(mail, "return-path").strip() == "<>"
        or bool(AUTOMATIC_SENDERS.match(address))
        or bool(OUT_OF_OFFICE.match(subject))
    )


def _reply_text(mail: EmailMessage) -> str:
    """Return what the sender wrote, without what they quote and without their telephone's signature."""
    try:
        body = mail.get_body(preferencelist=("plain", "html"))
        content = body.get_content() if body is not None else ""
    except (LookupError, ValueError, MessageError, AttributeError):  # an unknown charset, a broken structure
        content = text(mail.get_payload(decode=True) or b"")
        body = None
    if body is not None and body.get_content_type() == "text/html":
        try:
            content = get_text(str(content)[: MAX_TEXT_CHARS * 10])
        except Exception:  # whatever a stranger's markup does to its reader
            content = re.sub(r"<[^>]*>", " ", str(content))
    whole = _prepare_for_parser(str(content)[: MAX_TEXT_CHARS * 2])
    replies = EmailReplyParser(languages=LANGUAGES).read(whole).replies
    reply = replies[0].body if replies else whole
    return (reply or "").replace(FOLD, "").replace(MARK, "").strip()[:MAX_TEXT_CHARS]


def _prepare_for_parser(content: str) -> str:
    """Prepare a text as the reply parser can bear it: its patterns look for the ends of lines and for empty ones,
    and thousands of those in a row take it minutes. Nothing is lost but empty lines after the second."""
    lines = content.replace("\x00", "").replace(MARK, "").replace("\r\n", "\n").split("\n")[:MAX_LINES]
    folded = [FOLD.join(re.findall(f".{{1,{MAX_LINE_CHARS}}}", line.rstrip(), re.S)) for line in lines]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(folded))[:MAX_TEXT_CHARS]


def _is_opt_out(words: str, subject: str) -> bool:
    text = re.sub(r"\W+", " ", words).strip().lower()
    return text in OPT_OUT_WORDS or (not text and subject.strip().lower() in OPT_OUT_WORDS)


def _opt_out_by_subject(subject: str, secret: str) -> str:
    """Return the message of ours whose List-Unsubscribe address was written to."""
    match = re.fullmatch(rf"unsubscribe\s+({NAME})", subject.strip(), re.I)
    return read_signed_id(secret, match[1]) if match else ""
