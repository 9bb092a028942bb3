"""Which wording somebody reads: their language and variant, and the hash by which the very same words are known
again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, case, literal
from sqlmodel import col

from passaparola.contacts.bucketing import pick_variant
from passaparola.outbox.render.frozen import wording_key
from passaparola.store.models import Contact


@dataclass(frozen=True)
class StepWordings:
    """One step's words on one medium. `reads` maps (locale, variant) to the hash of what is read there."""

    locales: list[str]
    house: str
    variants: dict[str, int]
    purpose: str
    reads: dict[tuple[str, str], str]

    @classmethod
    def for_medium(cls, content: Mapping[str, Any], step: Mapping[str, Any], medium: str) -> "StepWordings":
        variants = step.get("variants") or {"": 100}
        reads = {
            (locale, variant): reading_hash(content, wording, medium)
            for variant in variants
            for locale, wording in content["messages"][wording_key(step["say"], variant, medium)].items()
        }
        locales = sorted({locale for locale, _ in reads})
        house = content["locale"] if content["locale"] in locales else locales[0]
        return cls(locales, house, variants, f"variant of {step['say']} in {content['campaign']}", reads)

    def locale_column(self) -> ColumnElement[str]:
        """Build the contact's own language where there is a wording in it, else the house's."""
        return case((col(Contact.language).in_(self.locales), col(Contact.language)), else_=literal(self.house))

    def variant_column(self) -> ColumnElement[str]:
        return pick_variant(col(Contact.id), self.purpose, self.variants) if len(self.variants) > 1 else literal("")

    def hash_column(self) -> ColumnElement[str]:
        """Return the hash of what a contact would read."""
        locale, variant = self.locale_column(), self.variant_column()
        each = [
            (and_(locale == spoken, variant == name) if name else locale == spoken, literal(wording_hash))
            for (spoken, name), wording_hash in self.reads.items()
        ]
        return case(*each, else_=literal(""))


def reading_hash(content: Mapping[str, Any], wording: Mapping[str, Any], medium: str) -> str:
    """Hash what is read. A wider audience, another title or another campaign with the same template has the same
    hash; nobody reads the campaign's name in a link's utm_campaign."""
    keys = ("texts", "links", "template", "survey", "share")
    pictures = [sha256_ for _, _, sha256_ in wording.get("media", ())]
    words = orjson.dumps([medium, pictures, {key: wording.get(key) for key in keys}], option=orjson.OPT_SORT_KEYS)
    words = words.replace(f"utm_campaign={content['campaign']}".encode(), b"utm_campaign=")
    if re.search(rb"\{[{%][^{}]*\bcampaign\b", words):
        words += orjson.dumps([content["campaign"], content["title"]])
    return sha256(words).hexdigest()[:32]
