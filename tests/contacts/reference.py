"""The audience language a second time, in plain Python over plain values: what SQL must agree with."""

import operator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, assert_never

from passaparola.contacts.audience import tree

SIGNS = {"=": operator.eq, ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


@dataclass
class Happening:
    kind: str
    at: datetime
    amount: int | None = None
    currency: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Person:
    traits: dict[str, Any]
    birthday: str | None
    media: dict[str, bool]  # medium → verified
    consents: list[tuple[datetime, str, str, bool]]  # (at, medium, topic, granted), in the order they were said
    events: list[Happening]


def holds(node: tree.Node, person: Person, now: datetime) -> bool:
    match node:
        case tree.All(of=parts):
            return all(holds(part, person, now) for part in parts)
        case tree.Any(of=parts):
            return any(holds(part, person, now) for part in parts)
        case tree.Not(part=part):
            return not holds(part, person, now)
        case tree.Everyone():
            return True
        case tree.Compared(trait=trait, sign=sign, value=value):
            return compared(person.traits.get(trait), sign, value)
        case tree.OneOf(trait=trait, values=values):
            return any(compared(person.traits.get(trait), "=", value) for value in values)
        case tree.TextMatch(trait=trait, how=how, value=value):
            text = person.traits.get(trait)
            return isinstance(text, str) and (value in text if how == "contains" else text.startswith(value))
        case tree.HasTrait(trait=trait):
            return person.traits.get(trait) is not None
        case tree.EventCount():
            times = len(happened(node.event, node.filters, node.window, person, now))
            return times >= node.at_least and (node.at_most is None or times <= node.at_most)
        case tree.FirstOrLast():
            return edge(node, person, now)
        case tree.Total():
            currency = node.currency or "EUR"
            found = happened(node.event, node.filters, node.window, person, now)
            total = sum(e.amount or 0 for e in found if e.currency == currency)
            return bool(SIGNS[node.sign](total, round(node.value * 100)))
        case tree.HasConsent(topic=topic, medium=medium):
            said = [
                (at, not granted, n, granted)  # of one moment, the no
                for n, (at, m, t, granted) in enumerate(person.consents)
                if m == medium and t in (topic, "*")
            ]
            return max(said)[3] if said else False
        case tree.HasAddress(medium=medium, verified=verified):
            return medium in person.media and (person.media[medium] or not verified)
        case tree.Birthday(days=days):
            return person.birthday in {(now + timedelta(days=n)).strftime("%m-%d") for n in range(days + 1)}
        case tree.InAudience():
            raise NotImplementedError
        case _:
            assert_never(node)


def compared(given: Any, sign: str, value: Any) -> bool:
    """Only like is compared with like; what is not there is never equal."""
    if (
        given is None
        or isinstance(given, bool) != isinstance(value, bool)
        or isinstance(given, str) != isinstance(value, str)
    ):
        return False
    return bool(SIGNS[sign](given, value))


def happened(kind: str, filters: Any, window: tree.Window, person: Person, now: datetime) -> list[Happening]:
    start, end = window.edges(now)
    return [
        e for e in person.events
        if e.kind == kind and (not start or e.at >= start) and (not end or e.at < end) and all(passes(f, e) for f in filters)
    ]  # fmt: skip


def passes(filter_: tree.Filter, event: Happening) -> bool:
    if filter_.name == "amount" and isinstance(filter_.value, float):
        amount = event.amount if event.currency == "EUR" else None  # 50 dollars are not 50 euro
        return compared(amount, filter_.sign, round(filter_.value * 100)) != filter_.negated
    return compared(event.properties.get(filter_.name), filter_.sign, filter_.value) != filter_.negated


def edge(node: tree.FirstOrLast, person: Person, now: datetime) -> bool:
    mine = sorted((e.at, n, e) for n, e in enumerate(person.events) if e.kind == node.event)
    if not mine:
        return False
    event = mine[-1][2] if node.which == "last" else mine[0][2]
    if node.filter:
        return passes(node.filter, event)
    start, end = node.window.edges(now)
    return (not start or event.at >= start) and (not end or event.at < end)
