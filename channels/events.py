"""Anything else that knows what people do: your own shop, till or app, by POST /events. It only receives.

Signed after Standard Webhooks (https://www.standardwebhooks.com), named after the Segment spec: one event, or
`{"batch": [...]}`, each with `event`, `timestamp`, `messageId`, whose it is (`email`, `phone`, `traits`, or
`addresses` by medium), and `properties`.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from standardwebhooks import webhooks

from passaparola.channel.receiver import InboundEvent, ParseResult, Webhook
from passaparola.channel.signed_webhook import (
    as_mapping,
    clean_text,
    parse_currency,
    parse_instant,
    parse_json,
    parse_mime_part,
    split_secrets,
    to_minor_units,
    without_empty,
)
from passaparola.errors import Forged, Misconfigured
from passaparola.settings import FromEnvironment

TRAIT_FIELDS = ("first_name", "last_name", "language", "country", "city", "time_zone")
AMOUNT_FIELDS = ("total", "revenue", "value", "amount")
MAX_ITEMS = 1_000


class EventsSettings(FromEnvironment):
    events_secret: str = ""


class EventsReceiver(Webhook):
    name = "events"

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        for secret in split_secrets(EventsSettings().events_secret, "EVENTS_SECRET"):
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

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        payload = parse_json(body)
        items = payload["batch"] if isinstance(payload.get("batch"), list) else [payload]
        if len(items) > MAX_ITEMS:
            raise ValueError(f"{len(items)} events in one body; {MAX_ITEMS} are the most")
        happenings, problems = [], []
        for place, item in enumerate(items):
            try:
                happenings.append(_parse_event(item, f"{headers.get('webhook-id', '')}/{place}"))
            except ValueError as problem:
                problems.append(f"event {place + 1}: {problem}")
        return ParseResult(happenings, problems)


def _parse_event(item: object, otherwise: str) -> InboundEvent:
    if not isinstance(item, dict):
        raise ValueError("this is not a JSON object")
    kind = re.sub(r"[^a-z0-9]+", "_", clean_text(item.get("event")).lower()).strip("_")
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,59}", kind):
        raise ValueError("“event” is missing; write a name such as Order Completed")
    given = as_mapping(item.get("properties"))
    properties = {str(name)[:60]: _storable(value) for name, value in list(given.items())[:100]}
    if "order_id" in properties:
        properties["order_id"] = clean_text(properties["order_id"])
    traits = {**as_mapping(parse_mime_part(item, "context", "traits")), **as_mapping(item.get("traits"))}
    reached = {name: item.get(name) or traits.get(name) for name in ("email", "phone")}
    amount = next((properties[name] for name in AMOUNT_FIELDS if name in properties), None)
    currency = parse_currency(properties["currency"]) if properties.get("currency") else None
    return InboundEvent(
        kind=kind,
        id=clean_text(item.get("messageId")) or otherwise,
        at=parse_instant(item.get("timestamp")),
        addresses=without_empty(reached | as_mapping(item.get("addresses"))),
        traits=without_empty({name: traits.get(name) or traits.get(_camel(name)) for name in TRAIT_FIELDS}),
        amount=to_minor_units(amount, currency) if amount is not None and currency else None,
        currency=currency if amount is not None else None,
        properties=properties,
        accepts_marketing=item["agrees"] if isinstance(item.get("agrees"), bool) else None,
        related_event=f"order_completed:{properties['order_id']}" if properties.get("order_id") else "",
    )


def _camel(name: str) -> str:
    """Turn a name into camel case: Segment writes firstName."""
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def _storable(value: object, deep: int = 0) -> Any:
    """Make a value fit a store: no NUL, nothing endless."""
    match value:
        case str():
            return value.replace("\x00", "")[:2_000]
        case list() if deep < 4:
            return [_storable(item, deep + 1) for item in value[:100]]
        case dict() if deep < 4:
            return {
                str(name).replace("\x00", "")[:60]: _storable(item, deep + 1)
                for name, item in list(value.items())[:100]
            }
        case list() | dict():
            return None
        case int() if abs(value) >= 2**63:
            return float(value)
    return value
