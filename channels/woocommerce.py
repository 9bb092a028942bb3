"""WooCommerce's shop: an order as it now stands, from which what happened is read. It only listens.

https://woocommerce.com/document/webhooks/: HMAC-SHA256 over the raw body. The Delivery-ID is no name of a delivery (it
is a hash of the second), so an order, its state and when it changed are; the first delivery is an unsigned greeting.
"""

import re
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
    print_of,
    secrets_of,
    text,
)
from passaparola.settings import FromEnvironment

GREETING = re.compile(rb"webhook_id=\d{1,20}")


class WoocommerceSettings(FromEnvironment):
    woocommerce_secret: str = ""


class Woocommerce(Webhook):
    name = "woocommerce"

    def delivery(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = secrets_of(WoocommerceSettings().woocommerce_secret, "WOOCOMMERCE_SECRET")
        if "x-wc-webhook-signature" not in headers and GREETING.fullmatch(body):
            return None
        believe(body, [from_base64(headers.get("x-wc-webhook-signature", ""))], secrets)
        try:
            said = json_of(body)
        except ValueError:
            return print_of(body)
        named = [text(said.get(name)) for name in ("id", "date_modified_gmt", "status")]
        return f"{headers.get('x-wc-webhook-resource', 'order')}:{':'.join(named)}" if all(named) else print_of(body)

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        if headers.get("x-wc-webhook-resource", "order") != "order":
            return Heard()
        said = json_of(body)
        if headers.get("x-wc-webhook-event") in ("deleted", "restored") or "status" not in said:
            return Heard()
        return Heard([_order(said, kind, when) for kind, when in _happened(said)])


def _happened(said: dict[str, Any]) -> list[tuple[str, datetime]]:
    """There is no webhook for “paid”: an order that carries the time of its payment was."""
    status, found = said.get("status"), []
    changed = said.get("date_modified_gmt") or said.get("date_created_gmt")
    if said.get("date_paid_gmt") and status in ("processing", "completed", "refunded"):
        found.append(("order_completed", at(said["date_paid_gmt"])))
    if status == "completed" and said.get("date_completed_gmt"):
        found.append(("order_fulfilled", at(said["date_completed_gmt"])))
    if status == "refunded":
        found.append(("order_refunded", at(changed)))
    if status == "cancelled":
        found.append(("order_cancelled", at(changed)))
    return found


def _order(said: dict[str, Any], kind: str, when: datetime) -> Happening:
    id_ = text(said.get("id"))
    if not id_:
        raise ValueError("there is no id in it")
    currency = currency_of(said.get("currency"))
    billing = mapping(said.get("billing"))
    lines: Any = said.get("line_items")
    items = [
        {"name": text(line.get("name")), "quantity": count(line.get("quantity")), "sku": text(line.get("sku"))}
        for line in (lines[:50] if isinstance(lines, list) else []) if isinstance(line, dict)
    ]  # fmt: skip
    return Happening(
        kind=kind,
        id=f"{kind}:{id_}",
        at=when,
        addresses=filled({"email": part(billing, "email"), "phone": part(billing, "phone")}),
        traits=filled({name: part(billing, name) for name in ("first_name", "last_name", "country", "city")}),
        amount=minor(said.get("total", "0"), currency),
        currency=currency,
        properties={"order_id": id_, "order": text(said.get("number")), "items": items},
        about=f"order_completed:{id_}",
    )
