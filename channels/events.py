"""Anything else that knows what people do: your own shop, till or app, by POST /events. It only listens.

Signed after Standard Webhooks (https://www.standardwebhooks.com), named after the Segment spec: one event, or
`{"batch": [...]}`, each with `event`, `timestamp`, `messageId`, whose it is (`email`, `phone`, `traits`, or
`addresses` by medium), and `properties`.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from standardwebhooks import webhooks

from passaparola.channel.receiver import Happening, Heard, Webhook
from passaparola.channel.signed_webhook import at, currency_of, filled, json_of, mapping, minor, part, secrets_of, text
from passaparola.errors import Forged, Misconfigured
from passaparola.settings import FromEnvironment

PERSON = ("first_name", "last_name", "language", "country", "city", "time_zone")
MONEY = ("total", "revenue", "value", "amount")
MOST_ITEMS = 1_000


class EventsSettings(FromEnvironment):
    events_secret: str = ""


class Events(Webhook):
    name = "events"

    def delivery(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        for secret in secrets_of(EventsSettings().events_secret, "EVENTS_SECRET"):
            try:
                hook = webhooks.Webhook(secret)
            except ValueError:
                raise Misconfigured("PASSAPAROLA_EVENTS_SECRET is not a secret such as whsec_… in base64.") from None
            try:
                hook.verify(body, dict(headers), json_parse=False)
            except Exception:  # the library lets a malformed header's own errors through
                continue
            return headers["webhook-id"][:200]
        raise Forged("The signature does not hold.")

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        said = json_of(body)
        items = said["batch"] if isinstance(said.get("batch"), list) else [said]
        if len(items) > MOST_ITEMS:
            raise ValueError(f"{len(items)} events in one body; {MOST_ITEMS} are the most")
        happenings, problems = [], []
        for place, item in enumerate(items):
            try:
                happenings.append(_happening(item, f"{headers.get('webhook-id', '')}/{place}"))
            except ValueError as problem:
                problems.append(f"event {place + 1}: {problem}")
        return Heard(happenings, problems)


def _happening(item: Any, otherwise: str) -> Happening:
    if not isinstance(item, dict):
        raise ValueError("this is not a JSON object")
    kind = re.sub(r"[^a-z0-9]+", "_", text(item.get("event")).lower()).strip("_")
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,59}", kind):
        raise ValueError("“event” is missing; write a name such as Order Completed")
    given = mapping(item.get("properties"))
    properties = {str(name)[:60]: _plain(value) for name, value in list(given.items())[:100]}
    if "order_id" in properties:
        properties["order_id"] = text(properties["order_id"])
    traits = {**mapping(part(item, "context", "traits")), **mapping(item.get("traits"))}
    reached = {name: item.get(name) or traits.get(name) for name in ("email", "phone")}
    amount = next((properties[name] for name in MONEY if name in properties), None)
    currency = currency_of(properties["currency"]) if properties.get("currency") else None
    return Happening(
        kind=kind,
        id=text(item.get("messageId")) or otherwise,
        at=at(item.get("timestamp")),
        addresses=filled(reached | mapping(item.get("addresses"))),
        traits=filled({name: traits.get(name) or traits.get(_camel(name)) for name in PERSON}),
        amount=minor(amount, currency) if amount is not None and currency else None,
        currency=currency if amount is not None else None,
        properties=properties,
        agrees=item["agrees"] if isinstance(item.get("agrees"), bool) else None,
        about=f"order_completed:{properties['order_id']}" if properties.get("order_id") else "",
    )


def _camel(name: str) -> str:
    """Segment writes firstName."""
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def _plain(value: Any, deep: int = 0) -> Any:
    """What fits a store: no NUL, nothing endless."""
    match value:
        case str():
            return value.replace("\x00", "")[:2_000]
        case list() if deep < 4:
            return [_plain(item, deep + 1) for item in value[:100]]
        case dict() if deep < 4:
            return {
                str(name).replace("\x00", "")[:60]: _plain(item, deep + 1) for name, item in list(value.items())[:100]
            }
        case list() | dict():
            return None
        case int() if abs(value) >= 2**63:
            return float(value)
    return value
