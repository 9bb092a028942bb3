"""What SendGrid tells of our messages: its event webhook, signed by ECDSA over the timestamp and the raw bytes.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event. Events come several times (three on average,
up to 46 were counted: sendgrid/docs#2933), in any order, for up to a day; `sg_event_id` is the same each time.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from passaparola.channel.bounces import classify_bounce
from passaparola.channel.receiver import InboundEvent, ParseResult, Webhook
from passaparola.channel.signed_webhook import body_digest, clean_text, parse_instant, split_secrets
from passaparola.errors import Forged, Misconfigured
from passaparola.settings import FromEnvironment

SIGNATURE, TIMESTAMP = "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"
MAX_AGE = timedelta(
    hours=25
)  # SendGrid tries for a day; what comes twice is known by its id, so this only bounds replay
MAX_CLOCK_SKEW = timedelta(minutes=10)
# Reserved names of the event webhook win over equal ones, so ours have a prefix.
MESSAGE_ARG, ATTEMPT_ARG = "passaparola_message", "passaparola_attempt"

KINDS = {
    "processed": "accepted",
    "deferred": "deferred",
    "delivered": "delivered",
    "bounce": "bounced",
    "dropped": "rejected",
    "open": "opened",
    "click": "clicked",
    "spamreport": "complained",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
    "group_resubscribe": "resubscribed",
}
URGENT = (b'"spamreport"', b'unsubscribe"', b'"bounce"', b'"dropped"')
DROPPED = {  # why SendGrid itself would not send; what is not here is no fault of the address
    "unsubscribed address": "unsubscribed",
    "bounced address": "hard bounce",
    "spam reporting address": "complaint",
    "invalid": "invalid address",
}
NOT_THE_ADDRESS = {"Content", "Reputation", "Frequency or Volume Too High", "Technical Failure"}


class EventSettings(FromEnvironment):
    sendgrid_webhook_public_key: str = ""


class SendgridReceiver(Webhook):
    name = "sendgrid"

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        verify_signature(EventSettings().sendgrid_webhook_public_key, "SENDGRID_WEBHOOK_PUBLIC_KEY", headers, body, now)
        return body_digest(body)

    @classmethod
    def may_be_urgent(cls, body: bytes) -> bool:
        return any(word in body for word in URGENT)

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        try:
            events = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise ValueError("this is not JSON") from None
        if not isinstance(events, list):
            raise ValueError("this is not a list of events")
        happenings, problems = [], []
        for place, event in enumerate(events, 1):
            try:
                if inbound := _parse_event(event):
                    happenings.append(inbound)
            except ValueError as problem:
                problems.append(f"event {place}: {problem}")
        return ParseResult(happenings, problems[:20])


def verify_signature(keys: str, setting: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Verify the signature over timestamp and raw bytes. Raises Misconfigured: no key is set. Forged: none of the
    keys signed this, or not lately."""
    given = split_secrets(keys, setting)
    stamp = headers.get(TIMESTAMP, "")
    try:
        signature = base64.b64decode(headers.get(SIGNATURE, ""), validate=True)
        signed_at = datetime.fromtimestamp(int(stamp), tz=UTC) if stamp.isascii() and stamp.isdigit() else None
    except (binascii.Error, ValueError, OverflowError, OSError):
        raise Forged("The signature is not one.") from None
    if signed_at is None or not -MAX_CLOCK_SKEW <= now - signed_at <= MAX_AGE:
        raise Forged("The signature is too old, or of no time.")
    for key in given:
        try:
            _public_key(key, setting).verify(signature, stamp.encode() + body, ECDSA(SHA256()))
            return
        except InvalidSignature:
            continue
    raise Forged("The signature does not hold.")


@cache
def _public_key(encoded: str, setting: str) -> EllipticCurvePublicKey:
    try:
        key = load_der_public_key(base64.b64decode(encoded, validate=True))
    except (ValueError, TypeError):
        raise Misconfigured(
            f"PASSAPAROLA_{setting} is not a key; copy it whole, without BEGIN and END lines."
        ) from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Misconfigured(f"PASSAPAROLA_{setting} is a key of another kind than SendGrid signs with.")
    return key


def _parse_event(event: object) -> InboundEvent | None:
    """Parse one event of the webhook. None: an event of the account, not of a message. Raises ValueError."""
    if not isinstance(event, dict):
        raise ValueError("this is not an object")
    kind = KINDS.get(str(event.get("event")))
    if kind is None:
        if str(event.get("event")).startswith("account_"):
            return None
        raise ValueError(f"“{clean_text(event.get('event'), 30)}” is not an event we know")
    id_ = clean_text(event.get("sg_event_id"))
    if not id_:
        raise ValueError("it has no sg_event_id")
    return InboundEvent(
        kind=kind,
        id=id_,
        at=parse_instant(event.get("timestamp")),
        addresses={"email": email} if (email := clean_text(event.get("email"))) else {},
        properties={name: value for name, value in _properties(kind, event).items() if value not in ("", None)},
        message=clean_text(event.get(MESSAGE_ARG), 80),
        medium="email",
        bot_reason="opened by the mail program before anyone looked" if event.get("sg_machine_open") is True else "",
    )


def _properties(kind: str, event: Mapping[str, Any]) -> dict[str, Any]:
    attempt = clean_text(event.get(ATTEMPT_ARG), 20)
    properties: dict[str, Any] = {"attempt": int(attempt) if attempt.isdigit() else None}
    match kind:
        case "accepted":
            properties["smtp_id"] = clean_text(event.get("smtp-id"))
        case "bounced":
            class_ = clean_text(event.get("bounce_classification"), 60)
            reason, status = clean_text(event.get("reason"), 300), clean_text(event.get("status"), 20)
            of = classify_bounce(status, reason)
            # `blocked` is soft; a bounce that SendGrid files under our content or reputation says nothing of the
            # address.
            is_about_us = class_ in NOT_THE_ADDRESS or of == "us"
            evidence = of == "address" or (class_ == "Invalid Address" and of == "nothing")
            hard = event.get("type", "bounce") == "bounce" and evidence and not is_about_us
            properties |= {
                "bounce": "hard" if hard else "soft",
                "class": class_,
                "reason": reason,
                "status": status,
                "counts": not is_about_us,
            }
        case "rejected":
            reason = clean_text(event.get("reason"), 300)
            properties |= {"reason": reason, "because": DROPPED.get(reason.lower(), "")}
        case "deferred":
            properties |= {
                "reason": clean_text(event.get("response"), 300),
                "tries": clean_text(event.get("attempt"), 10),
            }
        case "clicked":
            properties["url"] = clean_text(event.get("url"), 500)
        case "unsubscribed" | "resubscribed":
            properties["group"] = clean_text(event.get("asm_group_id"), 20)
    return properties
