"""Shopify's shop: orders paid, fulfilled, cancelled, refunded, and checkouts begun. It only listens.

https://shopify.dev/docs/apps/build/webhooks: HMAC-SHA256 over the raw body, no timestamp; answered within five seconds.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from passaparola.channel.receiver import Happening, Heard, Webhook
from passaparola.channel.signed_webhook import (
    at,
    believe,
    count,
    currency_of,
    filled,
    from_base64,
    json_of,
    mapping,
    minor,
    part,
    secrets_of,
    text,
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


class Shopify(Webhook):
    name = "shopify"

    def delivery(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = secrets_of(ShopifySettings().shopify_secret, "SHOPIFY_SECRET")
        believe(body, [from_base64(_header(headers, "hmac-sha256"))], secrets)
        if not (id_ := _header(headers, "webhook-id")):
            raise Forged("There is no X-Shopify-Webhook-Id.")
        return id_

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        topic, said = _header(headers, "topic"), json_of(body)
        if topic in PRIVACY:
            return Heard(problems=[f"Shopify asks for a person: {PRIVACY[topic]}. Someone has to see to it."])
        if said.get("test") is True:
            return Heard()
        if topic == "refunds/create":
            return Heard([_refund(said)])
        if topic not in TOPICS:
            return Heard()
        kind, when = TOPICS[topic]
        return Heard(
            [
                _order(
                    kind,
                    said,
                    at(
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


def _order(kind: str, said: dict[str, Any], when: datetime) -> Happening:
    id_ = text(said.get("id"))
    if not id_:
        raise ValueError("there is no id in it")
    agrees, agreed_at = _agrees(said, mapping(said.get("customer")))
    currency = currency_of(said.get("currency"))
    person = mapping(said.get("customer"))
    place = said.get("billing_address") or said.get("shipping_address") or {}
    return Happening(
        kind=kind,
        id=f"{kind}:{id_}",
        at=when,
        addresses=filled({"email": said.get("email") or said.get("contact_email"), "phone": said.get("phone")}),
        traits=filled({
            "first_name": part(person, "first_name") or part(place, "first_name"),
            "last_name": part(person, "last_name") or part(place, "last_name"),
            "country": part(place, "country_code"),
            "city": part(place, "city"),
            "language": said.get("customer_locale"),
        }),
        amount=minor(said.get("total_price", "0"), currency),
        currency=currency,
        properties={"order_id": id_, "order": text(said.get("name")), "items": _items(said.get("line_items"))},
        agrees=agrees,
        agreed_at=agreed_at,
        about=f"order_completed:{id_}",
    )  # fmt: skip


def _refund(said: dict[str, Any]) -> Happening:
    """A refund names its order and nobody's address."""
    order = text(said.get("order_id"))
    if not order:
        raise ValueError("there is no order_id in it")
    paid = [given for given in said.get("transactions") or [] if isinstance(given, dict)]
    currency = currency_of(paid[0].get("currency")) if paid else None
    amount = sum(minor(given.get("amount", "0"), currency) for given in paid) if currency else None
    return Happening(
        kind="order_refunded", id=f"order_refunded:{text(said.get('id')) or order}", at=at(said.get("created_at")),
        amount=amount, currency=currency, properties={"order_id": order}, about=f"order_completed:{order}",
    )  # fmt: skip


def _items(given: Any) -> list[dict[str, Any]]:
    lines = [line for line in given or [] if isinstance(line, dict)] if isinstance(given, list) else []
    return [
        {"name": text(line.get("title") or line.get("name")), "quantity": count(line.get("quantity")), "sku": text(line.get("sku"))}
        for line in lines[:50]
    ]  # fmt: skip


def _agrees(said: dict[str, Any], person: Any) -> tuple[bool | None, datetime | None]:
    """A state that stands is as old as it says; the flag of an order is an answer at its checkout."""
    state = part(person, "email_marketing_consent", "state")
    since = part(person, "email_marketing_consent", "consent_updated_at")
    if state in ("unsubscribed", "redacted"):
        return False, None
    if said.get("buyer_accepts_marketing") is True:
        return True, None
    if state == "subscribed" and since:
        return True, at(since)
    return (False if said.get("buyer_accepts_marketing") is False else None), None
