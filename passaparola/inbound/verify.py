"""Stage 1: verify a delivery over its raw bytes, before anything of it is believed."""

from collections.abc import Mapping
from datetime import datetime

from passaparola.channel.receiver import Webhook
from passaparola.inbound.store import NewBody


def verify_delivery(receiver: Webhook, headers: Mapping[str, str], body: bytes, now: datetime) -> NewBody | None:
    """Verify a delivery. Return the body to store; None for a greeting that says nothing.

    Raises Misconfigured: there is no secret to verify it by. Forged: it is not from its claimed sender. ValueError: not
    a delivery.
    """
    key = receiver.verify(headers, body, now)
    if key is None:
        return None
    return NewBody(receiver.name, key, headers, body, now, receiver.may_be_urgent(body))
