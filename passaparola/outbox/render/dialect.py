"""The part of Jinja2 that templates may use: values, conditions, loops and a few filters; no calls, no assignments.

A closed list instead of a guarded whole: what is not named here is refused with file and line before anyone sends,
and what is named cannot run long, grow large, or reach anything but the plain values it was given.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_precision
from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from passaparola.errors import BadContent, did_you_mean

MAX_LOOP_ITEMS, MAX_LOOP_DEPTH = 1_000, 2
ALLOWED_NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Filter,
    nodes.Test,
    nodes.If,
    nodes.For,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.CondExpr,
    nodes.Add,
    nodes.Sub,
    nodes.Neg,
    nodes.Slice,
    nodes.List,
    nodes.Tuple,
    nodes.Keyword,
)
ALLOWED_FILTERS = (
    "default",
    "upper",
    "lower",
    "title",
    "capitalize",
    "trim",
    "truncate",
    "length",
    "first",
    "last",
    "join",
    "round",
    "int",
    "float",
    "abs",
    "urlencode",
    "sort",
    "string",
)
ALLOWED_TESTS = ("defined", "undefined", "none", "number", "string", "odd", "even", "sameas", "in", "true", "false")
ALLOWED_LOOP_NAMES = ("index", "index0", "first", "last", "length", "revindex")


class MissingVariable(StrictUndefined):
    """A variable that a contact does not have: an error wherever it is used, unless a default is given."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        return f'“{self._undefined_name}” is missing; write {{{{ … | default("…") }}}} or ask for it in the audience'


class Dialect(ImmutableSandboxedEnvironment):
    """Jinja2 as templates see it, in one locale. Attributes are keys of plain dicts and nothing else."""

    def __init__(self, locale: str, *, escape: bool) -> None:
        super().__init__(autoescape=escape, undefined=MissingVariable, keep_trailing_newline=True)
        self.globals.clear()
        self.filters = {name: FILTERS[name] for name in ALLOWED_FILTERS} | _locale_filters(locale)
        # Ours alone, never written in a template: a loop's limit, and a block taken whole.
        self.filters |= {"within_bounds": _within_bounds, "whole": str}
        self.tests = {name: test for name, test in self.tests.items() if name in ALLOWED_TESTS}

    def getattr(self, obj: object, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        if type(obj) is LoopContext and attribute in ALLOWED_LOOP_NAMES:
            return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            return obj[argument]
        except (LookupError, TypeError):
            return self.undefined(obj=obj, name=str(argument))

    def parse_source(self, source: str, where: str) -> nodes.Template:
        """Parse and refuse what is not in the dialect. Raises BadContent."""
        try:
            tree = self.parse(source)
        except TemplateSyntaxError as error:
            raise BadContent(f"{error.message}", f"{where}:{error.lineno}") from None
        self._refuse(tree, where)
        return tree

    def _refuse(self, node: nodes.Node, where: str, loops: int = 0) -> None:
        at = f"{where}:{node.lineno}"
        if not isinstance(node, ALLOWED_NODES):
            name = {"Call": "calls such as name(…)", "Assign": "{% set %}", "Mul": "*", "Pow": "**"}.get(
                type(node).__name__, f"{type(node).__name__.lower()}"
            )
            raise BadContent(f"{name} can't be used in a template; see docs/marketers.md", at)
        if isinstance(node, nodes.Filter) and node.name not in self.filters:
            raise BadContent(f"there is no filter “{node.name}”{did_you_mean(node.name, self.filters)}", at)
        if isinstance(node, nodes.Test) and node.name not in self.tests:
            raise BadContent(f"there is no test “{node.name}”{did_you_mean(node.name, self.tests)}", at)
        if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            raise BadContent(f"“{node.attr}” is not a field", at)
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const | nodes.Slice):
            raise BadContent("in [ ] stands a number or a name in quotes", at)
        if isinstance(node, nodes.For):
            loops += 1
            if node.recursive or loops > MAX_LOOP_DEPTH:
                raise BadContent(f"loops can be nested {MAX_LOOP_DEPTH} deep at most", at)
            node.iter = nodes.Filter(node.iter, "within_bounds", [], [], None, None, lineno=node.lineno)
        for child in node.iter_child_nodes():
            self._refuse(child, where, loops)


def _within_bounds(items: Iterable[Any]) -> Iterator[Any]:
    if isinstance(items, Undefined):
        items._fail_with_undefined_error()
    return islice(items, MAX_LOOP_ITEMS)


def locale_of(language: str) -> Locale:
    try:
        return Locale.parse(language.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en")


def _locale_filters(language: str) -> dict[str, Callable[..., str]]:
    """Make the filters of a locale: dates, numbers and money as the reader writes them."""
    locale = locale_of(language)

    def day(value: str | date, format: str = "long") -> str:
        return format_date(date.fromisoformat(value[:10]) if isinstance(value, str) else value, format, locale)

    def moment(value: str | datetime, format: str = "medium") -> str:
        return format_datetime(
            datetime.fromisoformat(value) if isinstance(value, str) else value, format, locale=locale
        )

    def clock(value: str | datetime, format: str = "short") -> str:
        return format_time(datetime.fromisoformat(value) if isinstance(value, str) else value, format, locale=locale)

    def money(minor: int | float, currency: str = "EUR") -> str:
        """Format money from minor units, as events keep it."""
        amount = Decimal(str(minor)).scaleb(-get_currency_precision(currency))
        return format_currency(amount, currency, locale=locale)

    def number(value: int | float, format: str | None = None) -> str:
        return format_decimal(value, format, locale=locale)

    def percent(value: float) -> str:
        return format_percent(value, locale=locale)

    return {"date": day, "datetime": moment, "time": clock, "money": money, "number": number, "percent": percent}
