"""WooCommerce's shop: an order as it now stands, from which what happened is read. It only receives.

https://woocommerce.com/document/webhooks/: HMAC-SHA256 over the raw body. The Delivery-ID is no name of a delivery (it
is a hash of the second), so an order, its state and when it changed are; the first delivery is an unsigned greeting.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from passaparola.channel.receiver import InboundEvent, ParseResult, Webhook
from passaparola.channel.signed_webhook import (
    as_mapping,
    body_digest,
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
from passaparola.settings import FromEnvironment

GREETING = re.compile(rb"webhook_id=\d{1,20}")


class WoocommerceSettings(FromEnvironment):
    woocommerce_secret: str = ""


class WoocommerceReceiver(Webhook):
    name = "woocommerce"

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = split_secrets(WoocommerceSettings().woocommerce_secret, "WOOCOMMERCE_SECRET")
        if "x-wc-webhook-signature" not in headers and GREETING.fullmatch(body):
            return None
        verify_signature(body, [signature_from_base64(headers.get("x-wc-webhook-signature", ""))], secrets)
        try:
            payload = parse_json(body)
        except ValueError:
            return body_digest(body)
        named = [clean_text(payload.get(name)) for name in ("id", "date_modified_gmt", "status")]
        return f"{headers.get('x-wc-webhook-resource', 'order')}:{':'.join(named)}" if all(named) else body_digest(body)

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        if headers.get("x-wc-webhook-resource", "order") != "order":
            return ParseResult()
        payload = parse_json(body)
        if headers.get("x-wc-webhook-event") in ("deleted", "restored") or "status" not in payload:
            return ParseResult()
        return ParseResult([_parse_order(payload, kind, when) for kind, when in _event_kinds(payload)])


def _event_kinds(payload: dict[str, Any]) -> list[tuple[str, datetime]]:
    """Return the events that an order's state means. There is no webhook for “paid”: an order that carries the time
    of its payment was."""
    status, kinds = payload.get("status"), []
    changed = payload.get("date_modified_gmt") or payload.get("date_created_gmt")
    if payload.get("date_paid_gmt") and status in ("processing", "completed", "refunded"):
        kinds.append(("order_completed", parse_instant(payload["date_paid_gmt"])))
    if status == "completed" and payload.get("date_completed_gmt"):
        kinds.append(("order_fulfilled", parse_instant(payload["date_completed_gmt"])))
    if status == "refunded":
        kinds.append(("order_refunded", parse_instant(changed)))
    if status == "cancelled":
        kinds.append(("order_cancelled", parse_instant(changed)))
    return kinds


def _parse_order(payload: dict[str, Any], kind: str, when: datetime) -> InboundEvent:
    id_ = clean_text(payload.get("id"))
    if not id_:
        raise ValueError("there is no id in it")
    currency = parse_currency(payload.get("currency"))
    billing = as_mapping(payload.get("billing"))
    lines: Any = payload.get("line_items")
    items = [
        {
            "name": clean_text(line.get("name")),
            "quantity": parse_count(line.get("quantity")),
            "sku": clean_text(line.get("sku")),
        }
        for line in (lines[:50] if isinstance(lines, list) else [])
        if isinstance(line, dict)
    ]
    return InboundEvent(
        kind=kind,
        id=f"{kind}:{id_}",
        at=when,
        addresses=without_empty(
            {"email": parse_mime_part(billing, "email"), "phone": parse_mime_part(billing, "phone")}
        ),
        traits=without_empty(
            {name: parse_mime_part(billing, name) for name in ("first_name", "last_name", "country", "city")}
        ),
        amount=to_minor_units(payload.get("total", "0"), currency),
        currency=currency,
        properties={"order_id": id_, "order": clean_text(payload.get("number")), "items": items},
        related_event=f"order_completed:{id_}",
    )
