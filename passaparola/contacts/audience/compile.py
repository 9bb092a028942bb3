"""Compiler from tree to one SQL expression over `contact`: values bound, leaves never NULL, clock an argument."""

import operator
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from babel.numbers import get_currency_precision
from sqlalchemy import ColumnElement, Select, and_, case, false, func, literal, not_, or_, select, true
from sqlmodel import col

from passaparola.contacts.audience import tree
from passaparola.contacts.audience.parse import parse_question
from passaparola.contacts.audience.words import DERIVED_TRAITS, TRAITS, Catalogue
from passaparola.errors import BadContent
from passaparola.store.json_values import scalar
from passaparola.store.models import Activity, Address, Consent, Contact, Event

Clause = ColumnElement[bool]
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
LATEST_KEPT = 5  # activity keeps this many of the latest times


def compile_question(node: tree.Node, catalogue: Catalogue, now: datetime) -> Clause:
    """Compile a question to SQL. Raises BadContent: audiences that contain each other."""
    return _Compiler(catalogue, now).clause(node)


class _Compiler:
    def __init__(self, catalogue: Catalogue, now: datetime, inside: tuple[str, ...] = ()) -> None:
        # Dates, days and months are the house's, whatever zone the caller's clock happens to be in.
        self.catalogue, self.now, self.inside = catalogue, now.astimezone(ZoneInfo(catalogue.zone)), inside

    def clause(self, node: tree.Node) -> Clause:  # noqa: C901  one case per kind of condition
        match node:
            case tree.All(of=parts):
                return and_(true(), *map(self.clause, parts))
            case tree.Any(of=parts):
                return or_(false(), *map(self.clause, parts))
            case tree.Not(part=part):
                return not_(self.clause(part))
            case tree.Everyone():
                return true()
            case tree.Compared(trait=trait, sign=sign, value=value):
                return _never_null(OPERATORS[sign](self._trait(trait), value))
            case tree.OneOf(trait=trait, values=values):
                return _never_null(self._trait(trait).in_(values))
            case tree.TextMatch(trait=trait, how="contains", value=value):
                return _never_null(func.replace(self._trait(trait), value, "") != self._trait(trait))
            case tree.TextMatch(trait=trait, value=value):
                return _never_null(func.substr(self._trait(trait), 1, len(value)) == value)
            case tree.HasTrait(trait=trait):
                return self._trait(trait).is_not(None)
            case tree.EventCount():
                return self._event_count(node)
            case tree.FirstOrLast():
                return self._edge(node)
            case tree.Total():
                return self._total(node)
            case tree.HasConsent(topic=topic, medium=medium):
                return _never_null(latest_consent(col(Contact.id), medium, literal(topic)))
            case tree.HasAddress(medium=medium, verified=verified):
                holders = select(col(Address.contact_id)).where(col(Address.medium) == medium)
                return col(Contact.id).in_(
                    holders.where(col(Address.verified_at).is_not(None)) if verified else holders
                )
            case tree.InAudience(audience=name):
                return self._audience(name)
            case tree.Birthday(days=days):
                window = {(self.now + timedelta(days=n)).strftime("%m-%d") for n in range(days + 1)}
                return _never_null(col(Contact.birthday).in_(sorted(window)))
            case _:
                assert_never(node)

    def _trait(self, name: str) -> ColumnElement[Any]:
        if name in TRAITS or name in DERIVED_TRAITS:
            column: ColumnElement[Any] = col(getattr(Contact, name))  # type: ignore[assignment]
            return column
        return scalar(col(Contact.traits), name, self.catalogue.traits[name])

    def _event_count(self, node: tree.EventCount) -> Clause:
        enough = self._at_least(node, node.at_least)
        return enough if node.at_most is None else and_(enough, not_(self._at_least(node, node.at_most + 1)))

    def _at_least(self, node: tree.EventCount, times: int) -> Clause:
        """Compile “at least n times” from the activity row (no filter, no end, at most five since a start), else by
        counting events."""
        if times <= 0:
            return true()
        start, end = node.window.edges(self.now)
        if node.filters or end or (start and times > LATEST_KEPT):
            counted = self._events(node.event, node.filters, start, end).having(func.count() >= times)
            return col(Contact.id).in_(counted)
        seen = select(col(Activity.contact_id)).where(col(Activity.kind) == node.event)
        if start is None:
            return col(Contact.id).in_(seen.where(col(Activity.count) >= times))
        # The newest one is asked for too, as the index begins with it.
        latest_columns = dict.fromkeys(("latest_1", f"latest_{times}"))
        return col(Contact.id).in_(seen.where(*(col(getattr(Activity, name)) >= start for name in latest_columns)))

    def _edge(self, node: tree.FirstOrLast) -> Clause:
        start, end = node.window.edges(self.now)
        if node.filter:
            newest = node.which == "last"
            order = (col(Event.at).desc(), col(Event.id).desc()) if newest else (col(Event.at), col(Event.id))
            ranked = (
                select(
                    col(Event.contact_id),
                    self._passes(node.filter, self.catalogue.currency).label("passes"),
                    func.row_number().over(partition_by=col(Event.contact_id), order_by=order).label("place"),
                )
                .where(col(Event.kind) == node.event, ~col(Event.machine))
                .subquery()
            )
            return col(Contact.id).in_(select(ranked.c.contact_id).where(ranked.c.place == 1, ranked.c.passes))
        at = col(Activity.latest_1 if node.which == "last" else col(Activity.first_at))
        seen = select(col(Activity.contact_id)).where(col(Activity.kind) == node.event)
        return col(Contact.id).in_(seen.where(*([at >= start] if start else []), *([at < end] if end else [])))

    def _total(self, node: tree.Total) -> Clause:
        """Compile a total. Contacts without any event spent nothing, so where zero would pass, those who fail are
        excluded instead."""
        currency = node.currency or self.catalogue.currency
        value = minor_units(node.value, currency)
        passes_at_zero = OPERATORS[node.sign](0, value)

        def wanted(total: object) -> Clause:
            clause: Clause = OPERATORS[node.sign](total, value)
            return not_(clause) if passes_at_zero else clause

        if node.filters or node.window != tree.ALWAYS or currency != self.catalogue.currency:
            start, end = node.window.edges(self.now)
            events = self._events(node.event, node.filters, start, end).where(col(Event.currency) == currency)
            matching = events.having(wanted(func.coalesce(func.sum(col(Event.amount)), 0)))
        else:
            matching = select(col(Activity.contact_id)).where(
                col(Activity.kind) == node.event, wanted(col(Activity.total))
            )
        inside = col(Contact.id).in_(matching)
        return not_(inside) if passes_at_zero else inside

    def _events(
        self, kind: str, filters: tuple[tree.Filter, ...], start: datetime | None, end: datetime | None
    ) -> Select[Any]:
        named = (
            str(filter_.value)
            for filter_ in filters
            if filter_.name == "currency" and filter_.sign == "=" and not filter_.negated
        )
        currency = next(named, self.catalogue.currency)
        passes = (self._passes(filter_, currency) for filter_ in filters)
        events = select(col(Event.contact_id)).where(col(Event.kind) == kind, ~col(Event.machine), *passes)
        if start:
            events = events.where(col(Event.at) >= start)
        if end:
            events = events.where(col(Event.at) < end)
        return events.group_by(col(Event.contact_id))

    def _passes(self, filter_: tree.Filter, currency: str) -> Clause:
        """Compile a filter. An amount is in `currency`, the house's unless another filter names one: 50 USD are not 50
        EUR."""
        value: Any = filter_.value
        if filter_.name == "amount" and isinstance(value, float):
            field: Any = case((col(Event.currency) == currency, col(Event.amount)))
            value = minor_units(value, currency)
        elif filter_.name == "currency":
            field = col(Event.currency)
        else:
            kind = {str: "text", bool: "boolean"}.get(type(value), "number")
            field = scalar(col(Event.properties), filter_.name, kind)
        clause = _never_null(OPERATORS[filter_.sign](field, value))
        return not_(clause) if filter_.negated else clause

    def _audience(self, name: str) -> Clause:
        if name in self.inside:
            raise BadContent(f"audiences contain each other: {' → '.join((*self.inside, name))}")
        node = parse_question(self.catalogue.audiences[name], self.catalogue, f"audiences/{name}.yaml")
        return _Compiler(self.catalogue, self.now, (*self.inside, name)).clause(node)


def latest_consent(contact_id: object, medium: str, topic: object) -> ColumnElement[Any]:
    """Return the latest yes or no of a contact to a topic (or to every topic) on a medium; NULL when never asked."""
    at, granted = col(Consent.at), col(Consent.granted)
    yes, no = func.max(case((granted, at))), func.max(case((~granted, at)))
    latest = func.coalesce(yes > no, yes.is_not(None))  # of one moment, the no
    return (
        select(case((func.count() > 0, latest)))
        .where(
            col(Consent.contact_id) == contact_id,
            col(Consent.medium) == medium,
            or_(col(Consent.topic) == topic, col(Consent.topic) == "*"),
        )
        .correlate_except(Consent)
        .scalar_subquery()
    )


def minor_units(amount: float, currency: str) -> int:
    scale: int = get_currency_precision(currency)
    minor: int = round(amount * 10**scale)
    return minor


def _never_null(clause: Any) -> Clause:
    return func.coalesce(clause, false())
