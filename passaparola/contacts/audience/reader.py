"""Base of the grammar readers: names that are known, values that fit, errors with their place."""

from typing import Any as Anything
from typing import NoReturn

from lark import Token, Transformer
from lark.tree import Meta

from passaparola.contacts.audience import tree
from passaparola.contacts.audience.words import VERBS, Catalogue
from passaparola.errors import BadQuestion, did_you_mean


class ReaderBase(Transformer[Token, Anything]):
    """Reads names and values. Errors point at the word and say what is known."""

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

    def string(self, parts: list[Token]) -> str:
        return str(parts[0][1:-1])

    def number(self, parts: list[Token]) -> float:
        return float(parts[0])

    true, false = (lambda self, parts, value=value: value for value in (True, False))
