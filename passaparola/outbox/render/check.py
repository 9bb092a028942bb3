"""One message on one medium over the cast: what would fail, and what the network would refuse."""

import re

from jinja2 import TemplateError

from passaparola.channel.registry import sender_for
from passaparola.errors import PassaparolaError
from passaparola.outbox.render.cast import AN_ORDER, CAST
from passaparola.outbox.render.frozen import (
    CutWording,
    FrozenWording,
    cut_wording,
    freeze_house_wordings,
    freeze_wordings,
    house_constants,
)
from passaparola.outbox.render.message import ANY_POST
from passaparola.outbox.render.share import share_links
from passaparola.settings import Settings

HOUSE_MESSAGES = {
    "answer": ("email", ANY_POST),
    "confirm": ("email",),
    "your_data": ("email",),
    "forget_me": ("email",),
}


def check_message(settings: Settings, name: str, medium: str, campaign: str, event: str | None) -> list[str]:
    """Check a message on one medium over the cast. `event` is what the campaign enters on; only then a template may
    speak of it."""
    try:
        wordings = freeze_wordings(settings.home, name, medium, campaign, settings)
        channel = sender_for(medium, settings)
    except PassaparolaError as error:
        return [str(error)]
    problems: list[str] = []
    for locale, wording in wordings.items():
        try:
            cut = cut_wording(wording, locale, house_constants(campaign, settings))
        except PassaparolaError as error:
            problems.append(str(error))
            continue
        if channel.public and any(part.order for part in cut.skeleton.parts.values()):
            problems.append(
                f"{wording.where}: a public post says the same to everybody; {{{{ contact.… }}}} can't be in it"
            )
            continue
        problems += _over_the_cast(cut, wording, event)
        problems += [f"{wording.where}: {problem}" for problem in channel.problems(cut.skeleton)]
    return problems


# An offer in a letter that nobody said yes to makes marketing of it, whatever else it says.
OFFER_WORDS = re.compile(
    r"\d ?%|\b(discounts?|coupons?|vouchers?|promo\w*|special offers?|(our|an|this) offer|on sale|buy now|shop "
    r"now|order now|save \d+|deals?|"
    r"scont[oi]|offert[ae]|saldi|buon[oi] (sconto|regalo)|acquista ora|compra ora|ordina ora|in omaggio)\b",
    re.I,
)


def find_offers(settings: Settings, name: str, medium: str, campaign: str) -> list[str]:
    """Return what sounds like an offer in a transactional message; somebody looks at it."""
    try:
        wordings = freeze_wordings(settings.home, name, medium, campaign, settings)
    except PassaparolaError:
        return []
    return [
        f"{wording.where}: “{match[0]}” sounds like an offer, and this goes out without a yes; leave it out, or give "
        "the campaign a "
        "topic that people say yes to"
        for wording in wordings.values()
        if (match := OFFER_WORDS.search(" ".join((wording.texts.get("subject", ""), wording.texts["text"]))))
    ]


def check_house_messages(settings: Settings) -> list[str]:
    """Check the letters that answer someone, with the words they are given."""
    given = {
        "subject": "Re: …",
        "text": "…",
        "paragraphs": [[{"text": "…"}, {"newline": True}, {"url": "https://example.org", "text": "example.org"}]],
        "author": "Marta",
        "action_url": "https://example.org",
    }
    problems = []
    for name, media in HOUSE_MESSAGES.items():
        for medium in media:
            try:
                for locale, wording in freeze_house_wordings(settings, name, medium).items():
                    words = {**house_constants(f"_{name}", settings), **given}
                    cut = cut_wording(FrozenWording.model_validate(wording), locale, words)
                    cut.values(sample_values({}, FrozenWording.model_validate(wording), None))
            except (PassaparolaError, TemplateError, ValueError) as error:
                problems.append(f"templates/_house/{name}: {error}")
    return problems


def _over_the_cast(cut: CutWording, wording: FrozenWording, event: str | None) -> list[str]:
    for name, contact in CAST.items():
        try:
            cut.values(sample_values(contact, wording, event))
        except (TemplateError, ValueError, TypeError) as error:
            reason = error.message if isinstance(error, TemplateError) else str(error)
            return [f"{wording.where}: for {name}, {reason}"]
    return []


def sample_values(contact: dict[str, object], wording: FrozenWording, event: str | None) -> dict[str, object]:
    """Return what a template is given in a preview: links that lead nowhere, and an order like any other."""
    followed: dict[str, object] = {"event": {**AN_ORDER, "kind": event}} if event else {}
    if wording.share:
        followed |= {"share": share_links(wording.share, "preview")}
    return followed | {
        "contact": contact,
        "links": list(wording.links),
        "unsubscribe_url": "https://example.org/u/preview",
        "preferences_url": "https://example.org/preferences/preview",
        "survey_url": "https://example.org/s/preview",
        "pixel_url": "",
    }
