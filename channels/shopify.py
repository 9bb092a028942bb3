"""Shopify's shop: orders paid, fulfilled, cancelled, refunded, and checkouts begun. It only listens.

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
        topic, said = _header(headers, "topic"), parse_json(body)
        if topic in PRIVACY:
            return ParseResult(problems=[f"Shopify asks for a person: {PRIVACY[topic]}. Someone has to see to it."])
        if said.get("test") is True:
            return ParseResult()
        if topic == "refunds/create":
            return ParseResult([_parse_refund(said)])
        if topic not in TOPICS:
            return ParseResult()
        kind, when = TOPICS[topic]
        return ParseResult(
            [
                _parse_order(
                    kind,
                    said,
                    parse_instant(
                        next(
                            (
                                said[name]
                                for name in (when, "updated_at", "created_at", "processed_at")
                                if said.get(name)
                            ),
                            None,
                        )
                    ),
                )
            ]
        )


def _header(headers: Mapping[str, str], name: str) -> str:
    """Newer subscriptions drop the X-."""
    return headers.get(f"x-shopify-{name}") or headers.get(f"shopify-{name}") or ""


def _parse_order(kind: str, said: dict[str, Any], when: datetime) -> InboundEvent:
    id_ = clean_text(said.get("id"))
    if not id_:
        raise ValueError("there is no id in it")
    agrees, agreed_at = _marketing_consent(said, as_mapping(said.get("customer")))
    currency = parse_currency(said.get("currency"))
    person = as_mapping(said.get("customer"))
    place = said.get("billing_address") or said.get("shipping_address") or {}
    return InboundEvent(
        kind=kind,
        id=f"{kind}:{id_}",
        at=when,
        addresses=without_empty({"email": said.get("email") or said.get("contact_email"), "phone": said.get("phone")}),
        traits=without_empty({
            "first_name": parse_mime_part(person, "first_name") or parse_mime_part(place, "first_name"),
            "last_name": parse_mime_part(person, "last_name") or parse_mime_part(place, "last_name"),
            "country": parse_mime_part(place, "country_code"),
            "city": parse_mime_part(place, "city"),
            "language": said.get("customer_locale"),
        }),
        amount=to_minor_units(said.get("total_price", "0"), currency),
        currency=currency,
        properties={"order_id": id_, "order": clean_text(said.get("name")), "items": _parse_items(said.get("line_items"))},
        accepts_marketing=agrees,
        accepts_marketing_at=agreed_at,
        related_event=f"order_completed:{id_}",
    )  # fmt: skip


def _parse_refund(said: dict[str, Any]) -> InboundEvent:
    """A refund names its order and nobody's address."""
    order = clean_text(said.get("order_id"))
    if not order:
        raise ValueError("there is no order_id in it")
    paid = [given for given in said.get("transactions") or [] if isinstance(given, dict)]
    currency = parse_currency(paid[0].get("currency")) if paid else None
    amount = sum(to_minor_units(given.get("amount", "0"), currency) for given in paid) if currency else None
    return InboundEvent(
        kind="order_refunded", id=f"order_refunded:{clean_text(said.get('id')) or order}", at=parse_instant(said.get("created_at")),
        amount=amount, currency=currency, properties={"order_id": order}, related_event=f"order_completed:{order}",
    )  # fmt: skip


def _parse_items(given: Any) -> list[dict[str, Any]]:
    lines = [line for line in given or [] if isinstance(line, dict)] if isinstance(given, list) else []
    return [
        {"name": clean_text(line.get("title") or line.get("name")), "quantity": parse_count(line.get("quantity")), "sku": clean_text(line.get("sku"))}
        for line in lines[:50]
    ]  # fmt: skip


def _marketing_consent(said: dict[str, Any], person: Any) -> tuple[bool | None, datetime | None]:
    """A state that stands is as old as it says; the flag of an order is an answer at its checkout."""
    state = parse_mime_part(person, "email_marketing_consent", "state")
    since = parse_mime_part(person, "email_marketing_consent", "consent_updated_at")
    if state in ("unsubscribed", "redacted"):
        return False, None
    if said.get("buyer_accepts_marketing") is True:
        return True, None
    if state == "subscribed" and since:
        return True, parse_instant(since)
    return (False if said.get("buyer_accepts_marketing") is False else None), None
