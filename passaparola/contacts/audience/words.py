"""The words of the audience language: traits, events, media. What a store adds to them is in its `Catalogue`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from passaparola.channel import registry

TRAITS = {
    "first_name": "text",
    "last_name": "text",
    "language": "text",
    "country": "text",
    "city": "text",
    "time_zone": "text",
}

# What we make of a person ourselves (passaparola/contacts/lifecycle.py); no file and no shop may say it.
DERIVED_TRAITS = {"lifecycle": "text", "participation": "text"}

# Past tense, after the Segment spec: https://segment.com/docs/connections/spec/ecommerce/v2/
EVENTS = (
    "order_completed",
    "order_refunded",
    "order_cancelled",
    "order_updated",
    "order_fulfilled",
    "checkout_started",
    "product_viewed",
    "product_added",
    "product_reviewed",
    "cart_viewed",
    "coupon_applied",
    "survey_answered",
    "signed_up",
    "store_visited",
    "delivered",
    "bounced",
    "opened",
    "clicked",
    "replied",
    "mentioned",
    "liked",
    "shared",
    "complained",
    "unsubscribed",
    "friend_visited",
)

# What we write into events ourselves, besides what shops and programs tell.
MESSAGE_PROPERTIES = {"campaign": "text", "launch": "number"}
EVENT_PROPERTIES: dict[str, dict[str, str]] = {
    "order_completed": {"order_id": "text", "order": "text", "items": "list"},
    "order_refunded": {"order_id": "text"},
    "survey_answered": {"score": "number", "answer": "number", "comment": "text"},
    "replied": {"meant": "text", "about": "text", "sentiment": "text"},
    "mentioned": {"meant": "text", "about": "text", "sentiment": "text"},
    "clicked": {"url": "text", "link": "number"},
}

VERBS = {
    "ordered": "order_completed",
    "bought": "order_completed",
    "refunded": "order_refunded",
    "reviewed": "product_reviewed",
    "answered": "survey_answered",
}

EXTRA_ADDRESS_KINDS = {"phone", "instagram"}  # though nothing here speaks on it


@cache
def media() -> frozenset[str]:
    """Return the kinds of address that contacts are reached or known by, over all channels."""
    return frozenset(EXTRA_ADDRESS_KINDS | {registry.address_kind(medium) for medium in registry.media()})


def is_medium(name: str) -> bool:
    """Return whether a name is a medium: a kind of address, what a message goes out on, or a shop or till that
    numbers its customers."""
    return name in media() or name in registry.media() or name == "till" or name in registry.receiver_names()


@dataclass(frozen=True)
class Catalogue:
    """What may be asked of one store: its custom traits and event kinds, and the audiences beside it."""

    currency: str = "EUR"
    traits: dict[str, str] = field(default_factory=dict)
    events: frozenset[str] = frozenset()
    audiences: dict[str, str] = field(default_factory=dict)
    properties: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)  # kind → name → types seen
    zone: str = "UTC"  # the house's clock, on which a day begins at midnight

    @property
    def known_traits(self) -> dict[str, str]:
        return {**self.traits, **TRAITS, **DERIVED_TRAITS}

    @property
    def known_events(self) -> set[str]:
        return {*EVENTS, *self.events}

    def known_properties(self, kind: str) -> dict[str, frozenset[str]]:
        """Return the known properties of a kind of event: name → types. Empty where none has come in yet."""
        seen = self.properties.get(kind)
        if not seen:
            return {}
        built_in = {"amount": "number", "currency": "text", **MESSAGE_PROPERTIES, **EVENT_PROPERTIES.get(kind, {})}
        return {**{name: frozenset([type_]) for name, type_ in built_in.items()}, **seen}
