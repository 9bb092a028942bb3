"""The words about events: how often, when, how much, with which properties."""

from collections.abc import Iterable
from datetime import date
from typing import Any as Anything

from lark import Token, v_args
from lark.tree import Meta

from passaparola.contacts.audience import tree
from passaparola.contacts.audience.reader import ReaderBase
from passaparola.errors import did_you_mean


class EventReader(ReaderBase):
    """One method per rule of the grammar that is about events."""

    @v_args(meta=True)
    def happened(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        name, *rest = parts
        given = {key: value for part in rest for key, value in part.items()}
        event = self._event(name)
        self._properties(event, given.get("filters", ()))
        return tree.EventCount(event=event, **given, text=self._words(meta))

    @v_args(meta=True)
    def edge_when(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        which, name, window = parts
        return tree.FirstOrLast(event=self._event(name), which=str(which), **window, text=self._words(meta))

    @v_args(meta=True)
    def edge_what(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        which, name, filter_ = parts
        event = self._event(name)
        self._properties(event, [filter_])
        return tree.FirstOrLast(event=event, which=str(which), filter=filter_, text=self._words(meta))

    @v_args(meta=True)
    def spent(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        given = {key: value for part in parts for key, value in part.items()}
        self._properties("order_completed", given.get("filters", ()))
        return tree.Total(event="order_completed", **given, text=self._words(meta))

    @v_args(meta=True)
    def total(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        name, *rest = parts
        given = {key: value for part in rest for key, value in part.items()}
        event = self._event(name)
        self._properties(event, given.get("filters", ()))
        return tree.Total(event=event, **given, text=self._words(meta))

    def amount(self, parts: list[Anything]) -> dict[str, Anything]:
        sign, number, *currency = parts
        return {"sign": sign, "value": float(number), "currency": str(currency[0]) if currency else None}

    def by_sign(self, parts: list[Token]) -> str:
        if parts[0] == "!=":
            self._error("a sum is compared with = >= <= > or <", parts[0])
        return str(parts[0])

    at_least, at_most, more_than, less_than = (lambda self, parts, sign=sign: sign for sign in (">=", "<=", ">", "<"))

    def filters(self, parts: list[tree.Filter]) -> dict[str, Anything]:
        return {"filters": tuple(parts)}

    def filter(self, parts: list[Anything]) -> tree.Filter:
        name, sign, value = parts
        if sign not in ("=", "!=") and type(value) is not float:
            self._error(f"only numbers have a larger and a smaller; write {name} = …", name)
        filter_ = tree.Filter(
            name=str(name), sign="=" if sign == "!=" else str(sign), value=value, negated=sign == "!="
        )
        self.places[id(filter_)] = name
        return filter_

    def _properties(self, event: str, filters: Iterable[tree.Filter]) -> None:
        """Refuse filters by unknown properties or of the wrong type, which would match nobody."""
        for filter_ in filters:
            name, given = self.places[id(filter_)], {str: "text", bool: "boolean"}.get(type(filter_.value), "number")
            if name == "amount" and given != "number":
                self._error("an amount is a number: amount >= 50", name)
            if name == "items":
                self._error(
                    "“items” is a list, and what is in it can't be asked about yet; ask how often or for how much "
                    "they bought",
                    name,
                )
            if not (known := self.catalogue.known_properties(event)):
                continue
            if name not in known:
                self._error(f"no {event} that came in has “{name}”{did_you_mean(name, known)}", name)
            if given not in (types := known[name]):
                if types == {"list"}:
                    self._error(f"“{name}” is a list, and what is in it can't be asked about yet", name)
                example = {"text": f'{name} = "…"', "number": f"{name} >= 9", "boolean": f"{name} = true"}
                kind = min(types - {"list"})
                self._error(f"“{name}” of {event} is a {kind} and is compared with one: {example[kind]}", name)

    def times(self, parts: list[Token]) -> int:
        if not parts[0].isdigit():
            self._error("a count is a whole number", parts[0])
        return int(parts[0])

    once, twice = (lambda self, parts, n=n: n for n in (1, 2))
    count_at_least = lambda self, parts: {"at_least": parts[0]}  # noqa: E731  one line per word of the language
    count_at_most = lambda self, parts: {"at_least": 0, "at_most": parts[0]}  # noqa: E731
    count_exactly = lambda self, parts: {"at_least": parts[0], "at_most": parts[0]}  # noqa: E731
    count_more_than = lambda self, parts: {"at_least": parts[0] + 1}  # noqa: E731
    count_fewer_than = lambda self, parts: {"at_least": 0, "at_most": parts[0] - 1}  # noqa: E731

    def within(self, parts: list[Token]) -> dict[str, Anything]:
        return {"window": tree.Window(within=self._span(parts))}

    def longer_ago(self, parts: list[Token]) -> dict[str, Anything]:
        return {"window": tree.Window(longer_ago=self._span(parts))}

    def since(self, parts: list[Token]) -> dict[str, Anything]:
        return {"window": tree.Window(since=self._date(parts[0]))}

    def before(self, parts: list[Token]) -> dict[str, Anything]:
        return {"window": tree.Window(before=self._date(parts[0]))}

    def _span(self, parts: list[Token]) -> tuple[int, tree.Unit]:
        number, unit = parts
        if not number.isdigit() or not 0 < int(number) <= 10_000:
            self._error("a span is a whole number from 1 to 10000", number)
        return int(number), unit.rstrip("s")  # type: ignore[return-value]

    def _date(self, token: Token) -> date:
        try:
            return date.fromisoformat(token)
        except ValueError:
            self._error(f"{token} is not on the calendar", token)
