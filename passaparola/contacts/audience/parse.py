"""Parser of the audience language. Every error says where, what was expected, and the nearest known word."""

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any as Anything
from typing import NoReturn

from lark import Lark, Token, UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError
from lark.tree import Meta

from passaparola.contacts.audience import tree
from passaparola.contacts.audience.parse_events import EventReader
from passaparola.contacts.audience.words import Catalogue, is_medium, media
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


class QuestionReader(EventReader):
    """One method per rule of the grammar."""

    @v_args(meta=True)
    def any(self, meta: Meta, parts: list[tree.Node]) -> tree.Node:
        return parts[0] if len(parts) == 1 else tree.Any(of=tuple(parts), text=self._words(meta))

    def _two_for_one(self, meta: Meta, parts: list[tree.Node]) -> None:
        """Refuse an ambiguous pair: “ordered since … and ordered before …” is meant as one order between the two,
        and asks for two of them."""
        did = [
            part for part in parts if isinstance(part, tree.EventCount) and part.at_least > 0 and part.at_most is None
        ]
        begins = [part for part in did if part.window.since or part.window.within]
        ends = [part for part in did if part.window.before or part.window.longer_ago]
        for begin, end in product(begins, ends):
            if (begin.event, begin.filters) == (end.event, end.filters):
                raise BadQuestion(
                    f"“{begin.text} and {end.text}” asks for two, one in each span, and not for one in both; a span "
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
        return self._in_values(meta, parts)

    @v_args(meta=True)
    def none_of(self, meta: Meta, parts: list[Anything]) -> tree.Node:
        return tree.Not(part=self._in_values(meta, parts), text=self._words(meta))

    def _in_values(self, meta: Meta, parts: list[Anything]) -> tree.Node:
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
