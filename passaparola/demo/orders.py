"""An order of the demo's shop, as Shopify tells of it."""

import base64
import hmac
import json
import urllib.request
from datetime import datetime


def send_order(
    url: str, secret: str, now: datetime, *, number: int = 820982911946, email: str = "giulia.ferrari@example.com"
) -> None:
    """Send Giulia's order, as Shopify tells of it when it is paid. Raises OSError."""
    order = {
        "id": number,
        "name": "#1042",
        "email": email,
        "processed_at": now.isoformat(),
        "currency": "EUR",
        "total_price": "33.40",
        "customer_locale": "it",
        "customer": {"first_name": "Giulia", "last_name": "Ferrari"},
        "billing_address": {"country_code": "IT", "city": "Torino"},
        "line_items": [{"title": "Acacia honey", "quantity": 1}, {"title": "Wild-rose soap", "quantity": 2}],
    }
    body = json.dumps(order).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Topic": "orders/paid",
        "X-Shopify-Webhook-Id": f"{number}-{now:%Y%m%d%H%M%S}",
        "X-Shopify-Hmac-Sha256": base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode(),
    }
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10):
        pass
