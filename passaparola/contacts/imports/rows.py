"""Parser of one row of a file: a person, what they allow and what they bought; or why it can't be taken."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from babel.numbers import get_currency_precision, list_currencies

from passaparola.contacts.addresses import normalise_address
from passaparola.contacts.audience.words import TRAITS, media
from passaparola.contacts.imports import columns
from passaparola.contacts.imports.columns import ColumnMapping
from passaparola.contacts.imports.refusals import is_opt_out_cell
from passaparola.contacts.imports.tables import Row

NOT_TEXT = re.compile("[\udc80-\udcff]")  # bytes that the file's encoding does not know: PEP 383
YES, NO = {"true", "yes", "y", "si", "sì", "1", "x"}, {"false", "no", "n", "0"}


@dataclass(frozen=True)
class Purchase:
    id: str
    at: datetime
    amount: int | None
    currency: str | None
    items: list[str]


@dataclass
class Person:
    line: int
    traits: dict[str, str] = field(default_factory=dict)
    custom: dict[str, Any] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    topics: list[tuple[str, str]] = field(default_factory=list)  # (topic, medium)
    consent_at: datetime | None = None
    consent_source: str = ""
    refuses: bool = False  # the row says no somewhere: it is no yes to anything
    purchase: Purchase | None = None


@dataclass(frozen=True)
class RowReader:
    """Reader of rows. `kinds` of custom traits: text, number or boolean."""

    header: list[str]
    mapping: ColumnMapping
    kinds: dict[str, str]
    zone: str
    currency: str
    now: datetime

    def parse(self, row: Row) -> Person:
        """Parse one row. Raises ValueError: the reason, for the rejects file."""
        if row.problem:
            raise ValueError(row.problem)
        if len(row.cells) > len(self.header):
            raise ValueError(f"{len(row.cells)} cells where the header has {len(self.header)}; is a quote missing?")
        cells = {
            self.mapping.columns.get(name, "ignore"): cell.strip()
            for name, cell in zip(self.header, row.cells, strict=False)
            if cell.strip()
        }
        if any(role in media() or role in TRAITS for role, cell in cells.items() if "\n" in cell or "\r" in cell):
            raise ValueError("a name or address goes over several lines; is a quote missing?")
        if any(map(NOT_TEXT.search, cells.values())):
            raise ValueError("some bytes of this row are in another encoding")
        person = Person(row.line)
        country = columns.parse_country(cells["country"]) if "country" in cells else None
        for role, cell in cells.items():
            if role in media():
                person.addresses[role] = normalise_address(role, cell, country or self.mapping.country)
            elif role in TRAITS or role == "birthday":
                person.traits[role] = self._trait(role, cell)
            elif not role.startswith(("order_", "consent")) and role != "ignore":
                person.custom[role] = _parse_custom(role, cell, self.kinds.get(role, "text"))
        if not person.addresses:
            raise ValueError("no address: this row has neither email, phone nor a handle")
        person.refuses = any(
            is_opt_out_cell(name, self.mapping.columns.get(name, "ignore"), cell)
            for name, cell in zip(self.header, row.cells, strict=False)
            if cell.strip()
        )
        self._consent(cells, person)
        self._purchase(cells, person)
        return person

    def _trait(self, role: str, cell: str) -> str:
        match role:
            case "country":
                return columns.parse_country(cell)
            case "language":
                return columns.parse_language(cell)
            case "time_zone":
                return columns.parse_time_zone(cell)
            case "birthday":
                return columns.parse_birthday(cell, self.mapping)
            case _:
                return " ".join(cell.split())[:200]

    def _consent(self, cells: dict[str, str], person: Person) -> None:
        for text in cells.get("consent", "").replace(";", ",").replace("|", ",").split(","):
            topic, _, medium = text.strip().lower().partition(":")
            if topic in YES | NO:
                raise ValueError(f"consent: “{text.strip()}” names no topic; write newsletter, or use --consent TOPIC")
            if topic:
                person.topics.append((topic, medium or "email"))
        if "consent_at" in cells:
            person.consent_at = columns.parse_instant(cells["consent_at"], self.mapping, self.zone)
            if person.consent_at > self.now:
                raise ValueError("consent_at: this lies in the future; are day and month the other way round?")
        person.consent_source = cells.get("consent_source", "")

    def _purchase(self, cells: dict[str, str], person: Person) -> None:
        if "order_id" not in cells:
            return
        if "order_at" not in cells:
            raise ValueError("order_at: a purchase needs its time")
        currency = cells.get("order_currency", self.currency).upper()
        if currency not in list_currencies():
            raise ValueError(f"order_currency: “{currency[:10]}” is not a currency")
        amount = None
        if "order_amount" in cells:
            exact = columns.parse_number(cells["order_amount"], self.mapping).scaleb(get_currency_precision(currency))
            amount = int(exact.to_integral_value())
            if abs(amount) >= 2**62:
                raise ValueError("order_amount: this is more money than there is")
        items = [item.strip() for item in cells.get("order_items", "").replace("|", ";").split(";") if item.strip()]
        at = columns.parse_instant(cells["order_at"], self.mapping, self.zone)
        person.purchase = Purchase(cells["order_id"][:200], at, amount, currency if amount is not None else None, items)


def _parse_custom(name: str, cell: str, kind: str) -> Any:
    if kind == "number":
        try:
            number = float(cell)
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        except (ValueError, OverflowError):
            raise ValueError(f"{name}: “{cell[:40]}” is not a number") from None
    if kind == "boolean":
        if cell.lower() not in YES | NO:
            raise ValueError(f"{name}: “{cell[:40]}” is neither yes nor no")
        return cell.lower() in YES
    return cell[:2000]


def infer_trait_kind(cells: list[str]) -> str:
    """Infer a custom trait's type by its first values. Codes such as 00123 stay text."""
    given = [cell.strip() for cell in cells if cell.strip()]
    if not given:
        return "text"
    if all(cell.lower() in {"true", "false", "yes", "no", "si", "sì"} for cell in given):
        return "boolean"
    if any(cell[:1] == "0" and cell[1:2].isdigit() for cell in given):
        return "text"
    try:
        [float(cell) for cell in given]
    except ValueError:
        return "text"
    return "number" if all(float(cell) == float(cell) and abs(float(cell)) < 1e15 for cell in given) else "text"
