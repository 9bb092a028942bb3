"""Bounces and complaints that come by email: who could not be reached, for good or for now, and who complained."""

import email
import email.policy
import re
from datetime import datetime
from email.errors import MessageError
from email.message import EmailMessage, Message
from email.utils import parseaddr
from typing import Any

from flufl.bounce import all_failures

from passaparola.channel.bounces import classify_bounce
from passaparola.channel.email_headers import find_message_id, header, text
from passaparola.channel.receiver import InboundEvent, ParseResult
from passaparola.channel.signed_webhook import clean_text


def parse_bounce(mail: EmailMessage, raw: bytes, name: str, at: datetime, named: str, secret: str) -> ParseResult:
    """Return the addresses that could not be reached, for good or for now, as the report says it or as flufl.bounce
    reads it."""
    about = named or find_message_id(raw, secret)
    outcomes: dict[str, tuple[str, str, str]] = {}
    for part in mail.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        for block in part.get_payload() if isinstance(part.get_payload(), list) else []:
            if isinstance(block, Message) and block.get("action"):
                _, _, address = header(block, "final-recipient").rpartition(";")
                action, status = header(block, "action").lower(), header(block, "status")
                outcomes[address.strip().lower()] = (action, status, header(block, "diagnostic-code"))
    if not outcomes and (named or _looks_bounced(mail)):
        passing, lasting = all_failures(email.message_from_bytes(raw))
        words = _bounce_text(mail)
        outcomes = {text(address): ("delayed", "4.0.0", "") for address in passing} | {
            text(address): ("failed", "5.0.0", words) for address in lasting
        }
    happenings = []
    for address, (action, status, why) in outcomes.items():
        if action not in ("failed", "delayed"):
            continue  # relayed, delivered, expanded: no news of ours
        properties: dict[str, Any] = {"status": status, "reason": clean_text(why, 300)}
        if action == "failed":
            properties |= _severity(status, why)
        happenings.append(
            InboundEvent(
                kind="bounced" if action == "failed" else "deferred",
                id=f"{name}:{address}"[:250],
                at=at,
                addresses={"email": address} if "@" in address else {},
                properties=properties,
                message=about,
                medium="email",
                unverified=True,
            )
        )
    return ParseResult(happenings)


def _bounce_text(mail: EmailMessage) -> str:
    """Return what a report of no standard form says, before it quotes the letter."""
    try:
        body = mail.get_body(preferencelist=("plain",))
        return str(body.get_content())[:2_000] if body is not None else ""
    except (LookupError, ValueError, MessageError, AttributeError):
        return ""


def _severity(status: str, why: str) -> dict[str, Any]:
    """Tell how lasting a bounce is. A full mailbox may be emptied, and what is said of us says nothing of who lives
    there."""
    of = classify_bounce(status, why)
    hard = of == "address" and not status.startswith("4")
    return {
        "bounce": "hard" if hard else "soft",
        "counts": of in ("address", "mailbox") or (of == "nothing" and status[:1] == "4"),
    }


def parse_complaint(mail: EmailMessage, name: str, at: datetime, named: str, secret: str) -> ParseResult:
    about, address = named, ""
    for part in mail.walk():
        if part.get_content_type() == "message/feedback-report":
            fields = part.get_payload()
            report: Any = fields[0] if isinstance(fields, list) and fields else email.message_from_string(str(fields))
            address = address or parseaddr(header(report, "original-rcpt-to"))[1]
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers"):
            about = about or find_message_id(part.as_bytes(), secret)
    return ParseResult(
        [
            InboundEvent(
                kind="complained",
                id=name[:250],
                at=at,
                addresses={"email": address} if address else {},
                message=about,
                medium="email",
                unverified=True,
            )
        ]
        if about
        else []
    )


def _looks_bounced(mail: EmailMessage) -> bool:
    sender = parseaddr(header(mail, "from"))[1]
    return header(mail, "return-path").strip() == "<>" or bool(re.match(r"(mailer-daemon|postmaster)@", sender, re.I))
