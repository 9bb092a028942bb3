"""Requests that a provider or a network sends of what customers did: the real shapes, signed by keys of the demo."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

X_SECRET, FACEBOOK_SECRET = "the demo's own X app", "the demo's own page"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@dataclass(frozen=True)
class Webhook:
    """A request to a webhook of ours."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def delivery_event(kind: str, name: str, to: str, **more: object) -> dict[str, Any]:
    """Make an event of SendGrid's about the message `name`, as a file of the mailbox is called."""
    return {
        "event": kind,
        "email": to,
        "timestamp": int(time.time()),
        "sg_event_id": sha256(f"{kind} {name}".encode()).hexdigest()[:22],
        "passaparola_message": name,
        **more,
    }


def delivery_events(events: list[dict[str, Any]]) -> Webhook:
    body = json.dumps(events).encode()
    return Webhook("/webhooks/sendgrid", body, {"Content-Type": "application/json", **_signed(body)})


def inbound_email(mail: EmailMessage, sender: str) -> Webhook:
    """Make what SendGrid's Inbound Parse sends: the raw letter and its envelope, as a form of parts."""
    envelope = json.dumps({"to": ["ciao@bottega.example"], "from": sender}).encode()
    part = b'--edge\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    body = part % (b"email", mail.as_bytes()) + part % (b"envelope", envelope) + b"--edge--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=edge", **_signed(body)}
    return Webhook("/webhooks/sendgrid_inbound", body, headers)


def mention_on_x(number: int, handle: str, words: str) -> Webhook:
    post = {
        "id_str": f"19{number:04}",
        "text": words,
        "timestamp_ms": str(int(time.time() * 1000)),
        "user": {"id_str": f"7{number}", "screen_name": handle},
    }
    body = json.dumps({"for_user_id": "42", "tweet_create_events": [post]}).encode()
    signature = base64.b64encode(hmac.digest(X_SECRET.encode(), body, "sha256")).decode()
    return Webhook("/webhooks/twitter", body, {"x-twitter-webhooks-signature": f"sha256={signature}"})


def comment_on_facebook(number: int, name: str, words: str) -> Webhook:
    value = {
        "item": "comment",
        "verb": "add",
        "comment_id": f"77_1_{number}",
        "post_id": "77_1",
        "message": words,
        "from": {"id": f"88{number}", "name": name},
        "created_time": int(time.time()),
    }
    payload = {"object": "page", "entry": [{"id": "77", "changes": [{"field": "feed", "value": value}]}]}
    body = json.dumps(payload).encode()
    signature = hmac.digest(FACEBOOK_SECRET.encode(), body, "sha256").hex()
    return Webhook("/webhooks/facebook", body, {"X-Hub-Signature-256": f"sha256={signature}"})


def _signed(body: bytes) -> dict[str, str]:
    stamp = str(int(time.time()))
    signature = base64.b64encode(KEY.sign(stamp.encode() + body, ec.ECDSA(SHA256()))).decode()
    return {"X-Twilio-Email-Event-Webhook-Signature": signature, "X-Twilio-Email-Event-Webhook-Timestamp": stamp}
