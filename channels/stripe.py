"""Stripe's checkout: paid sessions and refunded charges. It only listens.

https://docs.stripe.com/webhooks: `t=…,v1=…` is HMAC-SHA256 over `t.body`, no older than five minutes.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from passaparola.channel.receiver import Happening, Heard, Webhook
from passaparola.channel.signed_webhook import (
    LARGEST,
    at,
    believe,
    currency_of,
    filled,
    from_hex,
    json_of,
    mapping,
    part,
    print_of,
    secrets_of,
    text,
)
from passaparola.errors import Forged
from passaparola.settings import FromEnvironment

TOLERANCE = 300  # seconds
# Amounts come in hundredths though the currency has none. https://docs.stripe.com/currencies#special-cases
IN_HUNDREDTHS = {"ISK", "UGX"}


class StripeSettings(FromEnvironment):
    stripe_secret: str = ""


class Stripe(Webhook):
    name = "stripe"

    def delivery(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = secrets_of(StripeSettings().stripe_secret, "STRIPE_SECRET")
        given = [pair.strip().partition("=")[::2] for pair in headers.get("stripe-signature", "").split(",")]
        moment = next((value for name, value in given if name == "t"), "")
        if not moment.isascii() or not moment.isdigit() or len(moment) > 12:
            raise Forged("The signature has no time.")
        believe(moment.encode() + b"." + body, [from_hex(value) for name, value in given if name == "v1"][:10], secrets)
        if abs(now.timestamp() - int(moment)) > TOLERANCE:
            raise Forged("The signature is too old.")
        try:
            return text(json_of(body).get("id")) or print_of(body)
        except ValueError:
            return print_of(body)

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        said = json_of(body)
        thing = part(said, "data", "object")
        if not isinstance(thing, dict):
            raise ValueError("there is no data.object in it; is this endpoint set to thin events?")
        match said.get("type"):
            case "checkout.session.completed" | "checkout.session.async_payment_succeeded":
                paid = thing.get("payment_status") == "paid"
                return Heard([_paid(thing, at(said.get("created")))] if paid else [])
            case "charge.refunded":
                return Heard([_refunded(thing, at(said.get("created")))])
            case _:
                return Heard()


def _paid(session: dict[str, Any], when: datetime) -> Happening:
    order = text(session.get("payment_intent")) or text(session.get("id"))
    if not order:
        raise ValueError("there is no id in it")
    who = mapping(session.get("customer_details"))
    first, _, last = text(part(who, "name")).partition(" ")
    amount, currency = _money(session.get("amount_total"), session.get("currency"))
    answer = part(session, "consent", "promotions")
    return Happening(
        kind="order_completed",
        id=f"order_completed:{order}",
        at=when,
        addresses=filled({"email": part(who, "email") or session.get("customer_email"), "phone": part(who, "phone")}),
        traits=filled({
            "first_name": first, "last_name": last, "language": session.get("locale"),
            "country": part(who, "address", "country"), "city": part(who, "address", "city"),
        }),
        amount=amount,
        currency=currency,
        properties={"order_id": order, "order": text(session.get("client_reference_id"))},
        agrees={"opt_in": True, "opt_out": False}.get(answer) if isinstance(answer, str) else None,
    )  # fmt: skip


def _refunded(charge: dict[str, Any], when: datetime) -> Happening:
    order = text(charge.get("payment_intent")) or text(charge.get("id"))
    if not order:
        raise ValueError("there is no id in it")
    amount, currency = _money(charge.get("amount_refunded"), charge.get("currency"))
    email = charge.get("receipt_email") or part(charge, "billing_details", "email")
    return Happening(
        kind="order_refunded", id=f"order_refunded:{order}:{amount}", at=when, addresses=filled({"email": email}),
        amount=amount, currency=currency, properties={"order_id": order}, about=f"order_completed:{order}",
    )  # fmt: skip


def _money(amount: Any, currency: Any) -> tuple[int, str]:
    code = currency_of(currency)
    if not isinstance(amount, int) or abs(amount) >= LARGEST:
        raise ValueError("there is no amount in it")
    return (amount // 100 if code in IN_HUNDREDTHS else amount), code
