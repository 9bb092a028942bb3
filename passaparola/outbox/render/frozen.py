"""What a launch keeps of its messages: Jinja sources, compiled once; and what is made of them for a batch."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from jinja2 import TemplateError
from pydantic import BaseModel, ConfigDict

from passaparola.channel.registry import sender_class
from passaparola.channel.sender import Media, Part, Skeleton
from passaparola.errors import BadContent
from passaparola.outbox.render import email, message, share
from passaparola.outbox.render.holes import Program, cut_texts
from passaparola.outbox.render.share import MARK, Share
from passaparola.outbox.render.survey import Survey
from passaparola.outbox.render.utm import add_utm
from passaparola.settings import STARTER, Settings

FOOTER = ("unsubscribe_url", "postal_address")


class FrozenWording(BaseModel):
    """One wording as it stood at the launch. `texts` are Jinja sources by part."""

    model_config = ConfigDict(frozen=True)
    where: str
    texts: dict[str, str]
    links: tuple[str, ...] = ()
    media: tuple[tuple[str, str, str], ...] = ()  # path, words for it, sha256
    survey: Survey | None = None
    template: str = ""
    share: Share | None = None


def wording_key(message: str, variant: str, medium: str) -> str:
    """Return where a launch's frozen content keeps a message's wordings on a medium."""
    return f"{message}/{variant}/{medium}" if variant else f"{message}/{medium}"


def freeze_wordings(home: Path, name: str, medium: str, campaign: str, settings: Settings) -> dict[str, FrozenWording]:
    """Return the wordings of a message on a medium, by locale. Raises Unknown, BadContent."""
    utm = {
        "utm_source": medium,
        "utm_medium": "email" if medium == "email" else "social" if sender_class(medium).public else "chat",
        "utm_campaign": campaign,
    }
    wordings = message.load_wordings(home, name, medium, settings.locale)
    if medium == "email":
        shared = {locale: _with_share(wording, medium, campaign, locale) for locale, wording in wordings.items()}
        return {locale: _freeze_email(home, locale, wording, utm, settings) for locale, wording in shared.items()}
    return {
        locale: _freeze_post(home, _with_share(wording, medium, campaign, locale), utm)
        for locale, wording in wordings.items()
    }


def _with_share(wording: message.Wording, medium: str, campaign: str, locale: str) -> message.Wording:
    """Add the wording's share bar, where it has one. Raises BadContent: it has one half of it."""
    share_ = wording.matter.share
    if (MARK in wording.body) != (share_ is not None):
        lacks = (
            f"“share” in the front matter wants {MARK} in the text"
            if share_
            else f"{MARK} wants “share” in the front matter"
        )
        raise BadContent(f"{lacks}, so that it is known what is passed on and where", f"{wording.where}:1")
    if share_ is None:
        return wording
    bar = share.share_row(share_, locale) if medium == "email" else share.share_line(share_, campaign, locale)
    return replace(wording, body=wording.body.replace(MARK, bar))


def freeze_house_wordings(settings: Settings, name: str, medium: str) -> dict[str, Any]:
    """Freeze the wordings of templates/_house/, by locale, as plain values; the shipped ones where the house has
    none of its own."""
    overridden = (settings.home / "templates" / "_house" / name).is_dir()
    home = settings.home if overridden else STARTER
    wordings = message.load_house_wordings(home, name, medium, settings.locale)
    if medium != "email":
        return {locale: _freeze_post(home, post, {}).model_dump(mode="json") for locale, post in wordings.items()}
    needed = ("postal_address",)
    return {
        locale: _freeze_email(home, locale, wording, {}, settings, needed).model_dump(mode="json")
        for locale, wording in wordings.items()
    }


def _freeze_email(
    home: Path,
    locale: str,
    wording: message.Wording,
    utm: dict[str, str],
    settings: Settings,
    needed: tuple[str, ...] = FOOTER,
) -> FrozenWording:
    if not wording.matter.subject.strip():
        raise BadContent("“subject” is missing in the front matter", f"{wording.where}:1")
    around = message.load_layout(home, wording.matter.layout, locale, settings.locale, wording.where)
    written = message.load_text_part(home, wording, locale, settings.locale)
    compiled = email.compile_email(wording, around, written, utm)
    for name in needed:
        if name not in compiled.html:
            raise BadContent(f"the footer lacks {{{{ {name} }}}}, which the law asks for", around.where)
    texts = {"subject": " ".join(wording.matter.subject.split()), "html": compiled.html, "text": compiled.text}
    matter = wording.matter
    return FrozenWording(
        where=wording.where, texts=texts, links=compiled.links, survey=matter.survey, share=matter.share
    )


def _freeze_post(home: Path, wording: message.Wording, utm: dict[str, str]) -> FrozenWording:
    aside = email.JinjaPlaceholders()
    text = aside.restore(
        re.sub(
            r"https?://[^\s<>()\[\]]+[^\s<>()\[\].,;:!?]",
            lambda m: m[0] if re.search(r"jx\d+j", m[0]) else add_utm(m[0], utm),
            aside.take(wording.body.strip()),
        )
    )
    folder = (home / wording.where).parent
    for picture in wording.matter.media:
        path = (folder / picture.file).resolve()
        if not path.is_relative_to((home / "templates").resolve()) or not path.is_file():
            raise BadContent(f"there is no picture {picture.file} beside the template", f"{wording.where}:1")
    media = tuple(
        (str((folder / p.file).relative_to(home)), p.alt, hashlib.sha256((folder / p.file).read_bytes()).hexdigest())
        for p in wording.matter.media
    )
    texts, approved = {"text": text}, wording.matter.template
    texts |= {str(n): place for n, place in enumerate(approved.places, 1)} if approved else {}
    return FrozenWording(where=wording.where, texts=texts, media=media, template=approved.name if approved else "")


class CutWording:
    """A wording cut into skeleton and holes: html with escaping, the rest without."""

    def __init__(self, wording: FrozenWording, locale: str, constants: Mapping[str, Any]) -> None:
        plain = {name: (text, wording.where) for name, text in wording.texts.items() if name != "html"}
        rich = {name: (text, wording.where) for name, text in wording.texts.items() if name == "html"}
        try:
            escaped = cut_texts(rich, locale, constants, escape=True)
            unescaped = cut_texts(plain, locale, constants, escape=False)
        except TemplateError as error:
            raise BadContent(error.message or str(error), wording.where) from None
        first: tuple[Program, Program] = (escaped.program, unescaped.program)
        shift = 1 + max((place for part in escaped.parts.values() for place in part.order), default=-1)
        moved = {n: Part(p.statics, tuple(place + shift for place in p.order)) for n, p in unescaped.parts.items()}
        media = tuple(Media(*picture) for picture in wording.media)
        self.skeleton = Skeleton({**moved, **escaped.parts}, media, wording.template)
        self.programs, self.links, self.where, self.share = first, wording.links, wording.where, wording.share
        self.reads = escaped.reads | unescaped.reads
        self.subject = moved["subject"].order if "subject" in moved else ()

    def values(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what fills the holes for one contact. Raises TemplateError, ValueError: a field is missing or
        unfit."""
        rich, plain = self.programs
        values = rich(given) + plain(given)
        for place in self.subject:
            if not values[place].isprintable():
                one_line = " ".join(values[place].split())
                values = (*values[:place], one_line, *values[place + 1 :])
        return values


@lru_cache(maxsize=256)
def _cut_cached(wording: bytes, locale: str, constants: bytes) -> CutWording:
    return CutWording(FrozenWording.model_validate_json(wording), locale, orjson.loads(constants))


def cut_wording(wording: FrozenWording, locale: str, constants: Mapping[str, Any]) -> CutWording:
    """Cut a wording into skeleton and holes, once per launch and process."""
    return _cut_cached(wording.model_dump_json().encode(), locale, orjson.dumps(constants, option=orjson.OPT_SORT_KEYS))


def launch_constants(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a template may say that is the same for everyone, from a launch's frozen content."""
    sender = content["sender"]
    return {
        "campaign": {"name": content["campaign"], "title": content["title"]},
        **{name: sender[name] for name in ("organisation", "postal_address", "public_url")},
        **content.get("says", {}),
    }


def house_constants(campaign: str, settings: Settings) -> dict[str, Any]:
    """Return `launch_constants` before there is a launch: for checks and previews of one wording."""
    names = ("organisation", "postal_address", "public_url")
    sender = {name: getattr(settings, name) for name in names}
    return launch_constants({"campaign": campaign, "title": campaign, "sender": sender})


def freezer(settings: Settings) -> Callable[[str, str, str], dict[str, Any]]:
    """Return the function by which `journeys.launch` compiles a message's wordings."""

    def freeze(name: str, medium: str, campaign: str) -> dict[str, Any]:
        frozen = freeze_wordings(settings.home, name, medium, campaign, settings)
        return {locale: wording.model_dump(mode="json") for locale, wording in frozen.items()}

    return freeze
