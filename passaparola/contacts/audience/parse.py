"""Words to tree. Every error says where, what was expected there, and the nearest thing that is known."""

from collections.abc import Iterable
from datetime import date
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any as Anything
from typing import NoReturn

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError
from lark.tree import Meta

from passaparola.contacts.audience import tree
from passaparola.contacts.audience.words import VERBS, Catalogue, is_medium, media
from passaparola.errors import BadQuestion, did_you_mean

MAX_QUESTION_CHARS, MAX_DEPTH = 4_000, 20

TERMINAL_NAMES = {
    "NAME": "a name",
    "OP": "= != >= <= > <",
    "STRING": 'a text in "quotes"',
    "NUMBER": "a number",
    "UNIT": "hours, days, weeks, months or years",
    "DATE": "a date such as 2026-03-21",
    "CURRENCY": "a currency",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "EDGE": "first or last",
    "$END": "the end",
}


def parse_question(text: str, catalogue: Catalogue, where: str = "") -> tree.Node:
    """Parse a question to a tree. Raises BadQuestion: it is not in the language, or names what is not known."""
    if len(text) > MAX_QUESTION_CHARS:
        raise BadQuestion(
            f"this question has {len(text)} characters; {MAX_QUESTION_CHARS} are the most", "", 1, where=where
        )
    try:
        parsed = _grammar().parse(text)
        _refuse_depth(parsed, text, where)
        return QuestionReader(text, catalogue, where).transform(parsed)  # type: ignore[no-any-return]
    except UnexpectedInput as error:
        _explain_error(error, text, where)
    except VisitError as error:
        if isinstance(error.orig_exc, BadQuestion):
            raise error.orig_exc from None
        raise


@cache
def _grammar() -> Lark:
    grammar = (Path(__file__).parent / "grammar.lark").read_text()
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def _explain_error(error: UnexpectedInput, text: str, where: str) -> NoReturn:
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        lines = text.rstrip().splitlines() or [""]
        expected = error.expected if isinstance(error, UnexpectedEOF) else error.accepts or error.expected
        raise BadQuestion(
            f"the question stops too early; expected {_describe_expected(expected)}",
            text.rstrip(),
            len(lines[-1]) + 1,
            len(lines),
            where,
        )
    line, column = max(error.line, 1), max(error.column, 1)
    if isinstance(error, UnexpectedToken):
        expected = error.accepts or error.expected
        word = str(error.token)
        near = did_you_mean(word, (w.lower() for w in expected if w.isalpha() and w not in TERMINAL_NAMES))
        hint = near if "did you mean" in near else f"; expected {_describe_expected(expected)}"
        raise BadQuestion(f"did not expect “{word}” here{hint}", text, column, line, where)
    assert isinstance(error, UnexpectedCharacters)
    raise BadQuestion(
        f"did not expect “{error.char}” here; expected {_describe_expected(error.allowed)}", text, column, line, where
    )


def _describe_expected(expected: Anything) -> str:
    words = sorted({TERMINAL_NAMES.get(str(name), str(name).lower()) for name in expected or ()})
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _refuse_depth(parsed: Anything, text: str, where: str) -> None:
    level = [parsed]
    for _ in range(3 * MAX_DEPTH):
        level = [child for node in level for child in getattr(node, "children", ())]
        if not level:
            return
    raise BadQuestion(
        f"parentheses go deeper than {MAX_DEPTH}; name a part as an audience of its own", text, 1, where=where
    )


class QuestionReader(Transformer[Token, Anything]):
    """One method per rule of the grammar."""

    def __init__(self, text: str, catalogue: Catalogue, where: str) -> None:
        super().__init__()
        self.text, self.catalogue, self.where = text, catalogue, where
        self.places: dict[int, Token] = {}  # where each filter's name stands

    def _error(self, message: str, token: Token) -> NoReturn:
        raise BadQuestion(message, self.text, token.column or 1, token.line or 1, self.where)

    def _words(self, meta: Meta) -> str:
        return " ".join(self.text[meta.start_pos : meta.end_pos].split())

    def _trait(self, name: Token) -> str:
        if name not in (known := self.catalogue.known_traits):
            self._error(f"“{name}” is not a trait{did_you_mean(name, known)}", name)
        return str(name)

    def _text_trait(self, name: Token) -> str:
        if self.catalogue.known_traits.get(self._trait(name)) != "text":
            self._error(f"“{name}” is not text; compare it with = or >=", name)
        return str(name)

    def _event(self, name: Token) -> str:
        kind = VERBS.get(name, str(name))
        if kind not in (known := self.catalogue.known_events):
            self._error(f"“{name}” is not an event{did_you_mean(name, {*known, *VERBS})}", name)
        return kind

    def _fitting(self, name: Token, sign: str, value: tree.Value) -> None:
        kind = self.catalogue.known_traits[self._trait(name)]
        given = {str: "text", bool: "boolean"}.get(type(value), "number")
        if given != kind:
            example = {"text": f'{name} = "…"', "number": f"{name} >= 9", "boolean": f"{name} = true"}[kind]
            self._error(f"“{name}” is a {kind} and is compared with one: {example}", name)
        if sign not in ("=", "!=") and given != "number":
            self._error(f"only numbers have a larger and a smaller; write {name} = …", name)

    @v_args(meta=True)
    def any(self, meta: Meta, parts: list[tree.Node]) -> tree.Node:
        return parts[0] if len(parts) == 1 else tree.Any(of=tuple(parts), text=self._words(meta))

    def _two_for_one(self, meta: Meta, parts: list[tree.Node]) -> None:
        """Refuse an ambiguous pair. “ordered since … and ordered before …” is meant as one order between the two,
        and asks for two of them."""
        did = [
            part for part in parts if isinstance(part, tree.EventCount) and part.at_least > 0 and part.at_most is None
        ]
        begins = [part for part in did if part.window.since or part.window.within]
        ends = [part for part in did if part.window.before or part.window.longer_ago]
        for one, other in product(begins, ends):
            if (one.event, one.filters) == (other.event, other.filters):
                raise BadQuestion(
                    f"“{one.text} and {other.text}” asks for two, one in each span, and not for one in both; a span "
                    "from one day to "
                    "another can't be asked about yet. For two of them, make one part an audience of its own",
                    self.text,
                    meta.column,
                    meta.line,
                    self.where,
                )

    @v_args(meta=True)
    def all(self, meta: Meta, parts: list[tree.Node]) -> tree.Node:
        self._two_for_one(meta, parts)
        return parts[0] if len(parts) == 1 else tree.All(of=tuple(parts), text=self._words(meta))

    @v_args(meta=True)
    def no(self, meta: Meta, parts: list[tree.Node]) -> tree.Node:
        return tree.Not(part=parts[0], text=self._words(meta))

    @v_args(meta=True)
    def compared(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        name, sign, value = parts
        self._fitting(name, sign, value)
        text = self._words(meta)
        equal = tree.Compared(trait=str(name), sign="=" if sign == "!=" else str(sign), value=value, text=text)
        return tree.Not(part=equal, text=text) if sign == "!=" else equal

    @v_args(meta=True)
    def one_of(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        return self._among(meta, parts)

    @v_args(meta=True)
    def none_of(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        return tree.Not(part=self._among(meta, parts), text=self._words(meta))

    def _among(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        name, *values = parts
        for value in values:
            self._fitting(name, "=", value)
        return tree.OneOf(trait=str(name), values=tuple(values), text=self._words(meta))

    @v_args(meta=True)
    def contains(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        return tree.TextMatch(
            trait=self._text_trait(parts[0]), how="contains", value=parts[1][1:-1], text=self._words(meta)
        )

    @v_args(meta=True)
    def starts_with(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        return tree.TextMatch(
            trait=self._text_trait(parts[0]), how="starts", value=parts[1][1:-1], text=self._words(meta)
        )

    @v_args(meta=True)
    def between(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        name, low, high = parts
        self._fitting(name, ">=", low)
        self._fitting(name, "<=", high)
        edges = (
            tree.Compared(trait=str(name), sign=">=", value=low),
            tree.Compared(trait=str(name), sign="<=", value=high),
        )
        return tree.All(of=edges, text=self._words(meta))

    @v_args(meta=True)
    def known(self, meta: Meta, parts: list[Token]) -> tree.Node:
        return tree.HasTrait(trait=self._trait(parts[0]), text=self._words(meta))

    @v_args(meta=True)
    def unknown(self, meta: Meta, parts: list[Token]) -> tree.Node:
        text = self._words(meta)
        return tree.Not(part=tree.HasTrait(trait=self._trait(parts[0]), text=text), text=text)

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
        found = tree.Filter(name=str(name), sign="=" if sign == "!=" else str(sign), value=value, negated=sign == "!=")
        self.places[id(found)] = name
        return found

    def _properties(self, event: str, filters: Iterable[tree.Filter]) -> None:
        """Check the properties of a filter. A property that no event has is nobody's, and its “never” everybody's:
        what is not known is refused."""
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

    @v_args(meta=True)
    def consent(self, meta: Meta, parts: list[Token]) -> tree.Node:
        medium = self._medium(parts[1]) if len(parts) > 1 else "email"
        return tree.HasConsent(topic=str(parts[0]), medium=medium, text=self._words(meta))

    @v_args(meta=True)
    def has(self, meta: Meta, parts: list[Token]) -> tree.Node:
        return tree.HasAddress(medium=self._medium(parts[0]), text=self._words(meta))

    @v_args(meta=True)
    def has_verified(self, meta: Meta, parts: list[Token]) -> tree.Node:
        return tree.HasAddress(medium=self._medium(parts[0]), verified=True, text=self._words(meta))

    def _medium(self, name: Token) -> str:
        if not is_medium(name):
            self._error(f"“{name}” is not a medium{did_you_mean(name, media())}", name)
        return str(name)

    @v_args(meta=True)
    def membership(self, meta: Meta, parts: list[Token]) -> tree.Node:
        if (name := parts[0]) not in self.catalogue.audiences:
            self._error(f"“{name}” is not an audience{did_you_mean(name, self.catalogue.audiences)}", name)
        return tree.InAudience(audience=str(name), text=self._words(meta))

    @v_args(meta=True)
    def birthday_within(self, meta: Meta, parts: list[Token]) -> tree.Node:
        number, unit = parts
        days = {"day": 1, "week": 7}.get(unit.rstrip("s"))
        if days is None or not number.isdigit() or int(number) * days > 366:
            self._error("birthdays are looked for within days or weeks, a year at most", number)
        return tree.Birthday(days=int(number) * days, text=self._words(meta))

    @v_args(meta=True)
    def birthday_today(self, meta: Meta, parts: list[Token]) -> tree.Node:
        return tree.Birthday(days=0, text=self._words(meta))

    @v_args(meta=True)
    def everyone(self, meta: Meta, parts: list[Token]) -> tree.Node:
        return tree.Everyone(text=self._words(meta))

    def string(self, parts: list[Token]) -> str:
        return str(parts[0][1:-1])

    def number(self, parts: list[Token]) -> float:
        return float(parts[0])

    true, false = (lambda self, parts, value=value: value for value in (True, False))
