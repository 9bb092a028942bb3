"""Shopify's shop: orders paid, fulfilled, cancelled, refunded, and checkouts begun. It only receives.

https://shopify.dev/docs/apps/build/webhooks: HMAC-SHA256 over the raw body, no timestamp; answered within five seconds.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from passaparola.channel.receiver import InboundEvent, ParseResult, Webhook
from passaparola.channel.signed_webhook import (
    as_mapping,
    clean_text,
    parse_count,
    parse_currency,
    parse_instant,
    parse_json,
    parse_mime_part,
    signature_from_base64,
    split_secrets,
    to_minor_units,
    verify_signature,
    without_empty,
)
from passaparola.errors import Forged
from passaparola.settings import FromEnvironment

TOPICS = {
    "orders/paid": ("order_completed", "processed_at"),
    "orders/fulfilled": ("order_fulfilled", "updated_at"),
    "orders/cancelled": ("order_cancelled", "cancelled_at"),
    "checkouts/create": ("checkout_started", "created_at"),
}
# https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance
PRIVACY = {"customers/data_request": "my data", "customers/redact": "to be forgotten", "shop/redact": "the shop's end"}


class ShopifySettings(FromEnvironment):
    shopify_secret: str = ""


class ShopifyReceiver(Webhook):
    name = "shopify"

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = split_secrets(ShopifySettings().shopify_secret, "SHOPIFY_SECRET")
        verify_signature(body, [signature_from_base64(_header(headers, "hmac-sha256"))], secrets)
        if not (id_ := _header(headers, "webhook-id")):
            raise Forged("There is no X-Shopify-Webhook-Id.")
        return id_

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        topic, payload = _header(headers, "topic"), parse_json(body)
        if topic in PRIVACY:
            return ParseResult(problems=[f"Shopify asks for a person: {PRIVACY[topic]}. Someone has to see to it."])
        if payload.get("test") is True:
            return ParseResult()
        if topic == "refunds/create":
            return ParseResult([_parse_refund(payload)])
        if topic not in TOPICS:
            return ParseResult()
        kind, when = TOPICS[topic]
        return ParseResult(
            [
                _parse_order(
                    kind,
                    payload,
                    parse_instant(
                        next(
                            (
                                payload[name]
                                for name in (when, "updated_at", "created_at", "processed_at")
                                if payload.get(name)
                            ),
                            None,
                        )
                    ),
                )
            ]
        )


def _header(headers: Mapping[str, str], name: str) -> str:
    """Return one of Shopify's headers under either of its names: newer subscriptions drop the X-."""
    return headers.get(f"x-shopify-{name}") or headers.get(f"shopify-{name}") or ""


def _parse_order(kind: str, payload: dict[str, Any], when: datetime) -> InboundEvent:
    id_ = clean_text(payload.get("id"))
    if not id_:
        raise ValueError("there is no id in it")
    agrees, agreed_at = _marketing_consent(payload, as_mapping(payload.get("customer")))
    currency = parse_currency(payload.get("currency"))
    person = as_mapping(payload.get("customer"))
    place = payload.get("billing_address") or payload.get("shipping_address") or {}
    return InboundEvent(
        kind=kind,
        id=f"{kind}:{id_}",
        at=when,
        addresses=without_empty(
            {"email": payload.get("email") or payload.get("contact_email"), "phone": payload.get("phone")}
        ),
        traits=without_empty(
            {
                "first_name": parse_mime_part(person, "first_name") or parse_mime_part(place, "first_name"),
                "last_name": parse_mime_part(person, "last_name") or parse_mime_part(place, "last_name"),
                "country": parse_mime_part(place, "country_code"),
                "city": parse_mime_part(place, "city"),
                "language": payload.get("customer_locale"),
            }
        ),
        amount=to_minor_units(payload.get("total_price", "0"), currency),
        currency=currency,
        properties={
            "order_id": id_,
            "order": clean_text(payload.get("name")),
            "items": _parse_items(payload.get("line_items")),
        },
        accepts_marketing=agrees,
        accepts_marketing_at=agreed_at,
        related_event=f"order_completed:{id_}",
    )


def _parse_refund(payload: dict[str, Any]) -> InboundEvent:
    """Parse a refund, which names its order and nobody's address."""
    order = clean_text(payload.get("order_id"))
    if not order:
        raise ValueError("there is no order_id in it")
    paid = [given for given in payload.get("transactions") or [] if isinstance(given, dict)]
    currency = parse_currency(paid[0].get("currency")) if paid else None
    amount = sum(to_minor_units(given.get("amount", "0"), currency) for given in paid) if currency else None
    return InboundEvent(
        kind="order_refunded",
        id=f"order_refunded:{clean_text(payload.get('id')) or order}",
        at=parse_instant(payload.get("created_at")),
        amount=amount,
        currency=currency,
        properties={"order_id": order},
        related_event=f"order_completed:{order}",
    )


def _parse_items(given: object) -> list[dict[str, Any]]:
    lines = [line for line in given or [] if isinstance(line, dict)] if isinstance(given, list) else []
    return [
        {
            "name": clean_text(line.get("title") or line.get("name")),
            "quantity": parse_count(line.get("quantity")),
            "sku": clean_text(line.get("sku")),
        }
        for line in lines[:50]
    ]


def _marketing_consent(payload: dict[str, Any], person: Any) -> tuple[bool | None, datetime | None]:
    """Return the marketing consent, and when it was given. A state is as old as it says; the flag of an order is an
    answer at its checkout."""
    state = parse_mime_part(person, "email_marketing_consent", "state")
    since = parse_mime_part(person, "email_marketing_consent", "consent_updated_at")
    if state in ("unsubscribed", "redacted"):
        return False, None
    if payload.get("buyer_accepts_marketing") is True:
        return True, None
    if state == "subscribed" and since:
        return True, parse_instant(since)
    return (False if payload.get("buyer_accepts_marketing") is False else None), None
