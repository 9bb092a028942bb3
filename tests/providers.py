"""What providers send us, as the tests know it: SendGrid's events and letters signed with a key of our own, bounces, complaints."""

import base64
import json
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY = ec.derive_private_key(20260421, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(20260422, ec.SECP256R1())
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
SIGNATURE, TIMESTAMP = "X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"


def event(
    kind: str, message: str = "", email: str = "alice@example.org", at: int = 1776762000, **more: Any
) -> dict[str, Any]:
    """`message` is our id; without one it is what a late bounce looks like. `id` names the event."""
    said: dict[str, Any] = {
        "email": email,
        "timestamp": at,
        "event": kind,
        "sg_event_id": more.pop("id", f"{kind}-{message}-{email}-{at}"),
    }
    if kind == "bounce" and not more.keys() & {"reason", "status", "bounce_classification"}:
        said |= {"status": "5.1.1", "reason": "550 5.1.1 The email account that you tried to reach does not exist"}
    if message:
        said |= {"passaparola_message": message, "sg_message_id": f"m.{message}", "smtp-id": f"<{message}@geopod>"}
    return said | more


def signed(body: bytes, now: datetime | None = None, key: Any = KEY) -> dict[str, str]:
    stamp = str(int((now or datetime.now(UTC)).timestamp()))
    signature = key.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
    return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: stamp}


def events(*those: dict[str, Any], now: datetime | None = None, key: Any = KEY) -> tuple[dict[str, str], bytes]:
    body = json.dumps(list(those)).encode() + b"\r\n"
    return signed(body, now, key), body


def letter(
    text: str, *, sender: str = "alice@example.org", subject: str = "Re: Spring", answers: str = "", name: str = "<1@example.org>",
    charset: str = "utf-8", html: bool = False, **headers: str,
) -> bytes:  # fmt: skip
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = sender, "ciao@bottega.example", subject, name
    mail["Date"] = "Tue, 21 Apr 2026 12:00:00 +0200"
    if answers:
        mail["In-Reply-To"] = mail["References"] = answers
    for key, value in headers.items():
        mail[key.replace("_", "-")] = value
    if html:
        mail.set_content(text, subtype="html", charset=charset)
    else:
        mail.set_content(text, charset=charset)
    return mail.as_bytes()


def report(
    kind: str,
    recipient: str,
    returned: str,
    *,
    status: str = "5.1.1",
    action: str = "failed",
    to: str = "ciao@bottega.example",
) -> bytes:
    """A delivery status (`dsn`, RFC 3464) or a complaint (`arf`, RFC 5965) about a letter whose Message-ID is `returned`."""
    machine = (
        f"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; {recipient}\n"
        f"Action: {action}\nStatus: {status}\nDiagnostic-Code: smtp; 550 {status} no\n"
        if kind == "dsn"
        else f"Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: Yahoo\nVersion: 1\nOriginal-Rcpt-To: {recipient}\n"
    )
    way = "delivery-status" if kind == "dsn" else "feedback-report"
    return (
        f"From: MAILER-DAEMON@mx.example.org\nTo: {to}\nReturn-Path: <>\nSubject: Undelivered\nMessage-ID: <{kind}-{recipient}-{status}-{action}@mx>\n"
        f"Date: Tue, 21 Apr 2026 10:00:00 +0200\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type={way}; boundary=xx\n\n"
        f"--xx\nContent-Type: text/plain\n\nIt did not work.\n\n--xx\n{machine}\n"
        f"--xx\nContent-Type: message/rfc822\n\nFrom: ciao@bottega.example\nTo: {recipient}\nMessage-ID: {returned}\nSubject: Spring\n\nDear Alice\n--xx--\n"
    ).encode()


def form(raw: bytes, to: str = "ciao@bottega.example", boundary: str = "xYzZY") -> tuple[str, bytes]:
    """(content type, body) of an Inbound Parse delivery in raw mode."""
    fields = {b"email": raw, b"envelope": json.dumps({"to": [to], "from": "a@example.org"}).encode(), b"SPF": b"pass"}
    parts = b"".join(
        b"--"
        + boundary.encode()
        + b'\r\nContent-Disposition: form-data; name="'
        + name
        + b'"\r\n\r\n'
        + value
        + b"\r\n"
        for name, value in fields.items()
    )
    return f"multipart/form-data; boundary={boundary}", parts + b"--" + boundary.encode() + b"--\r\n"
