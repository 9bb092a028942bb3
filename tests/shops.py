"""Shops as the tests know them: a body, and the headers with which it is believed."""

import base64
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook

SECRETS = {
    "SHOPIFY_SECRET": "shpss of the tests",
    "WOOCOMMERCE_SECRET": "wc of the tests",
    "STRIPE_SECRET": "whsec of the tests",
    "EVENTS_SECRET": "whsec_" + base64.b64encode(b"a secret of the tests, long enough").decode(),
}
AT = "2026-04-21T09:00:00+00:00"


def digest(secret: str, body: bytes) -> bytes:
    return hmac.digest(secret.encode(), body, "sha256")


def shopify(body: dict[str, Any], topic: str = "orders/paid", delivery: str = "d-1") -> tuple[dict[str, str], bytes]:
    raw = json.dumps(body, ensure_ascii=False).encode()
    signature = base64.b64encode(digest(SECRETS["SHOPIFY_SECRET"], raw)).decode()
    return {"X-Shopify-Topic": topic, "X-Shopify-Webhook-Id": delivery, "X-Shopify-Hmac-Sha256": signature}, raw


def woocommerce(body: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    raw = json.dumps(body).encode()
    signature = base64.b64encode(digest(SECRETS["WOOCOMMERCE_SECRET"], raw)).decode()
    return {"X-WC-Webhook-Resource": "order", "X-WC-Webhook-Event": "updated", "X-WC-Webhook-Signature": signature}, raw


def stripe(body: dict[str, Any], at: float | None = None) -> tuple[dict[str, str], bytes]:
    raw, moment = json.dumps(body).encode(), str(int(at or time.time()))
    signature = digest(SECRETS["STRIPE_SECRET"], moment.encode() + b"." + raw).hex()
    return {"Stripe-Signature": f"t={moment},v1={signature}"}, raw


def events(body: dict[str, Any], id_: str = "msg_1") -> tuple[dict[str, str], bytes]:
    raw, now = json.dumps(body).encode(), datetime.now(UTC)
    signature = Webhook(SECRETS["EVENTS_SECRET"]).sign(id_, now, raw.decode())
    return {"webhook-id": id_, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}, raw


def order(id_: int = 1042, email: str | None = "giulia@example.org", **more: Any) -> dict[str, Any]:
    """As Shopify tells of it, ids larger than 2^53 and all."""
    return {
        "id": 9_007_199_254_741_000 + id_, "name": f"#{id_}", "email": email, "processed_at": AT, "currency": "EUR",
        "total_price": "33.40", "customer": {"first_name": "Giulia"}, "billing_address": {"country_code": "IT"},
        "line_items": [{"title": "Acacia honey", "quantity": 1}], **more,
    }  # fmt: skip


def refund(id_: int = 1042, number: int = 7) -> dict[str, Any]:
    return {
        "id": number, "order_id": 9_007_199_254_741_000 + id_, "created_at": "2026-04-22T09:00:00+00:00",
        "transactions": [{"amount": "33.40", "currency": "EUR"}],
    }  # fmt: skip


def woo_order(status: str = "processing", **more: Any) -> dict[str, Any]:
    return {
        "id": 727, "number": "727", "status": status, "currency": "JPY", "total": "2900", "date_paid_gmt": "2026-04-21T09:00:00",
        "date_modified_gmt": "2026-04-21T09:00:08", "date_completed_gmt": None,
        "billing": {"email": "Giulia@Example.org", "first_name": "Giulia", "country": "IT"},
        "line_items": [{"name": "Acacia honey", "quantity": 2}], **more,
    }  # fmt: skip


def stripe_event(type_: str = "checkout.session.completed", **thing: Any) -> dict[str, Any]:
    session = {
        "id": "cs_1", "payment_intent": "pi_1", "payment_status": "paid", "amount_total": 2599, "currency": "eur",
        "customer_details": {"email": "giulia@example.org", "name": "Giulia Ferrari", "address": {"country": "IT"}},
    }  # fmt: skip
    return {"id": "evt_1", "type": type_, "created": 1_776_762_000, "data": {"object": {**session, **thing}}}
