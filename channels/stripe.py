"""Stripe's checkout: paid sessions and refunded charges. It only receives.

https://docs.stripe.com/webhooks: `t=…,v1=…` is HMAC-SHA256 over `t.body`, no older than five minutes.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from passaparola.channel.receiver import InboundEvent, ParseResult, Webhook
from passaparola.channel.signed_webhook import (
    MAX_AMOUNT,
    as_mapping,
    body_digest,
    clean_text,
    parse_currency,
    parse_instant,
    parse_json,
    parse_mime_part,
    signature_from_hex,
    split_secrets,
    verify_signature,
    without_empty,
)
from passaparola.errors import Forged
from passaparola.settings import FromEnvironment

SIGNATURE_TOLERANCE_SECONDS = 300  # seconds
# Amounts come in hundredths though the currency has none. https://docs.stripe.com/currencies#special-cases
IN_HUNDREDTHS = {"ISK", "UGX"}


class StripeSettings(FromEnvironment):
    stripe_secret: str = ""


class StripeReceiver(Webhook):
    name = "stripe"

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = split_secrets(StripeSettings().stripe_secret, "STRIPE_SECRET")
        given = [pair.strip().partition("=")[::2] for pair in headers.get("stripe-signature", "").split(",")]
        moment = next((value for name, value in given if name == "t"), "")
        if not moment.isascii() or not moment.isdigit() or len(moment) > 12:
            raise Forged("The signature has no time.")
        verify_signature(
            moment.encode() + b"." + body,
            [signature_from_hex(value) for name, value in given if name == "v1"][:10],
            secrets,
        )
        if abs(now.timestamp() - int(moment)) > SIGNATURE_TOLERANCE_SECONDS:
            raise Forged("The signature is too old.")
        try:
            return clean_text(parse_json(body).get("id")) or body_digest(body)
        except ValueError:
            return body_digest(body)

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        payload = parse_json(body)
        thing = parse_mime_part(payload, "data", "object")
        if not isinstance(thing, dict):
            raise ValueError("there is no data.object in it; is this endpoint set to thin events?")
        match payload.get("type"):
            case "checkout.session.completed" | "checkout.session.async_payment_succeeded":
                paid = thing.get("payment_status") == "paid"
                return ParseResult([_parse_session(thing, parse_instant(payload.get("created")))] if paid else [])
            case "charge.refunded":
                return ParseResult([_parse_refund(thing, parse_instant(payload.get("created")))])
            case _:
                return ParseResult()


def _parse_session(session: dict[str, Any], when: datetime) -> InboundEvent:
    order = clean_text(session.get("payment_intent")) or clean_text(session.get("id"))
    if not order:
        raise ValueError("there is no id in it")
    who = as_mapping(session.get("customer_details"))
    first, _, last = clean_text(parse_mime_part(who, "name")).partition(" ")
    amount, currency = _to_minor_units(session.get("amount_total"), session.get("currency"))
    consent = parse_mime_part(session, "consent", "promotions")
    return InboundEvent(
        kind="order_completed",
        id=f"order_completed:{order}",
        at=when,
        addresses=without_empty(
            {
                "email": parse_mime_part(who, "email") or session.get("customer_email"),
                "phone": parse_mime_part(who, "phone"),
            }
        ),
        traits=without_empty(
            {
                "first_name": first,
                "last_name": last,
                "language": session.get("locale"),
                "country": parse_mime_part(who, "address", "country"),
                "city": parse_mime_part(who, "address", "city"),
            }
        ),
        amount=amount,
        currency=currency,
        properties={"order_id": order, "order": clean_text(session.get("client_reference_id"))},
        accepts_marketing={"opt_in": True, "opt_out": False}.get(consent) if isinstance(consent, str) else None,
    )


def _parse_refund(charge: dict[str, Any], when: datetime) -> InboundEvent:
    order = clean_text(charge.get("payment_intent")) or clean_text(charge.get("id"))
    if not order:
        raise ValueError("there is no id in it")
    amount, currency = _to_minor_units(charge.get("amount_refunded"), charge.get("currency"))
    email = charge.get("receipt_email") or parse_mime_part(charge, "billing_details", "email")
    return InboundEvent(
        kind="order_refunded",
        id=f"order_refunded:{order}:{amount}",
        at=when,
        addresses=without_empty({"email": email}),
        amount=amount,
        currency=currency,
        properties={"order_id": order},
        related_event=f"order_completed:{order}",
    )


def _to_minor_units(amount: object, currency: object) -> tuple[int, str]:
    code = parse_currency(currency)
    if not isinstance(amount, int) or abs(amount) >= MAX_AMOUNT:
        raise ValueError("there is no amount in it")
    return (amount // 100 if code in IN_HUNDREDTHS else amount), code
