"""Recognition of a file's columns: guessed from names in English and Italian, confirmed by a mapping file."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, UnknownLocaleError
from babel.numbers import NumberFormatError, parse_decimal
from pydantic import BaseModel, ConfigDict, Field, field_validator

from passaparola.contacts.audience.words import TRAITS, media
from passaparola.errors import did_you_mean

SYNONYMS = {
    "email": "mail, e mail, email address, mail address, indirizzo email, indirizzo mail, posta elettronica",
    "phone": "telefono, tel, mobile, cell, cellulare, phone number, numero di telefono, telephone",
    "twitter": "x, x handle, twitter handle",
    "first_name": "name, firstname, given name, nome, first",
    "last_name": "surname, lastname, family name, cognome, last",
    "language": "lingua, lang, locale",
    "country": "paese, nazione, stato, country code",
    "city": "citta, town, comune, localita",
    "time_zone": "timezone, fuso orario, tz",
    "birthday": "birth date, birthdate, date of birth, data di nascita, compleanno",
    "consent": "consents, consenso, consensi, topics, subscriptions, iscrizioni",
    "consent_at": "consent date, data consenso, opt in date",
    "consent_source": "fonte consenso, opt in source",
    "order_id": "order, order number, numero ordine, ordine, id ordine",
    "order_at": "order date, ordered at, data ordine, order time, purchased at, data acquisto",
    "order_amount": "amount, total, order total, totale, importo, total price",
    "order_currency": "currency, valuta",
    "order_items": "items, articoli, prodotti, products",
}
ROLES = {*TRAITS, *media(), *SYNONYMS, "birthday", "ignore"}


class ColumnMapping(BaseModel):
    """`columns` says for each header what it is: a field, a medium, `ignore`, or the name of a custom trait."""

    model_config = ConfigDict(extra="forbid")
    columns: dict[str, str]
    dates: Literal["day first", "month first"] = Field("day first", description="how 03/04/2026 is read")
    numbers: str = Field("", description="the locale numbers are written in, such as it; guessed when empty")
    country: str = Field("IT", description="reads phone numbers that have no prefix")

    @field_validator("columns")
    @classmethod
    def roles(cls, columns: dict[str, str]) -> dict[str, str]:
        for header, role in columns.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", role):
                raise ValueError(f"“{role}” (for {header}) is not a field{did_you_mean(role, ROLES)}")
        taken = [role for role in columns.values() if role != "ignore"]
        if doubled := {role for role in taken if taken.count(role) > 1}:
            raise ValueError(f"two columns are both “{sorted(doubled)[0]}”; map one of them to ignore")
        if not {*columns.values()} & media():
            raise ValueError("no column is an address; map one to email, phone or a network")
        return columns

    @property
    def has_purchases(self) -> bool:
        return "order_id" in self.columns.values()


def guess_columns(header: Iterable[str]) -> dict[str, str]:
    """Guess the field of every header; one that is not recognised becomes a custom trait."""
    taken: dict[str, str] = {}
    for name in header:
        words = normalise_header(name)
        role = next((role for role, text in _synonyms() if words == text), None) or words.replace(" ", "_")[:60]
        if not re.fullmatch(r"[a-z][a-z0-9_]*", role) or role in taken.values():
            role = "ignore"
        taken[name] = role
    return taken


@cache
def _synonyms() -> list[tuple[str, str]]:
    """Return (field, name) pairs, own names first."""
    plain_names = [(role, role.replace("_", " ")) for role in (*SYNONYMS, *sorted(media()))]
    return plain_names + [(role, text) for role, phrases in SYNONYMS.items() for text in phrases.split(", ")]


def normalise_header(text: str) -> str:
    """Normalise a header to small letters without accents and signs, so that two ways of writing it are one."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall(r"[a-z0-9]+", ascii_only))


@lru_cache(maxsize=4096)
def parse_country(raw: str) -> str:
    value = raw.strip()
    if len(value) == 2 and value.upper() in Locale("en").territories:
        return value.upper()
    if code := _countries().get(normalise_header(value)):
        return code
    raise ValueError(f"country: “{value[:40]}” is not a country; write its code, such as IT")


@cache
def _countries() -> dict[str, str]:
    return {
        normalise_header(name): code
        for language in ("en", "it", "de", "fr", "es")
        for code, name in Locale(language).territories.items()
        if len(code) == 2
    }


@lru_cache(maxsize=4096)
def parse_language(raw: str) -> str:
    value = raw.strip()
    try:
        return str(Locale.parse(value.replace("-", "_")).language)
    except (UnknownLocaleError, ValueError):
        names: dict[str, str] = {
            normalise_header(name): code for tongue in ("en", "it") for code, name in Locale(tongue).languages.items()
        }
        if code := names.get(normalise_header(value)):
            return code
    raise ValueError(f"language: “{value[:40]}” is not a language; write its code, such as it")


def parse_time_zone(raw: str) -> str:
    if raw.strip() not in available_timezones():
        raise ValueError(f"time_zone: “{raw.strip()[:40]}” is not a zone; write it like Europe/Rome")
    return raw.strip()


def parse_instant(raw: str, mapping: ColumnMapping, zone: str) -> datetime:
    """Parse an instant; a time without a zone is on the house's clock."""
    value = raw.strip().replace("Z", "+00:00")
    at: datetime | None = None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        day = "%d/%m/%Y" if mapping.dates == "day first" else "%m/%d/%Y"
        for form in (f"{day} %H:%M:%S", f"{day} %H:%M", day):
            try:
                at = datetime.strptime(value.replace("-", "/").replace(".", "/") if " " not in value else value, form)
                break
            except ValueError:
                continue
    if at is None or not 1900 <= at.year <= 2200:
        raise ValueError(f"“{raw.strip()[:40]}” is not a date; write it like 2026-03-21 or 2026-03-21T10:00")
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def parse_birthday(raw: str, mapping: ColumnMapping) -> str:
    """Parse a birthday, with or without a year, to MM-DD."""
    value = raw.strip()
    if re.fullmatch(r"\d{2}-\d{2}", value):
        return date.fromisoformat(f"2024-{value}").strftime("%m-%d")
    return parse_instant(value[:10], mapping, "UTC").strftime("%m-%d")


def parse_number(raw: str, mapping: ColumnMapping) -> Decimal:
    """Parse a number in the mapping's locale; else a comma before one or two final digits is the decimal sign."""
    value = re.sub(r"[^\d.,+-]", "", raw)
    locale = mapping.numbers or ("it" if re.search(r",\d{1,2}$", value) else "en")
    try:
        return parse_decimal(value, locale=locale, strict=bool(mapping.numbers))
    except NumberFormatError:
        raise ValueError(f"“{raw.strip()[:40]}” is not a number") from None
