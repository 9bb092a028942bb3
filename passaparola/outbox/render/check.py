"""One message on one medium over the cast: what would fail, and what the network would refuse."""

import re

from jinja2 import TemplateError

from passaparola.channel.registry import speaking
from passaparola.errors import PassaparolaError
from passaparola.outbox.render.cast import AN_ORDER, CAST
from passaparola.outbox.render.frozen import Frozen, Ready, frozen, house_constants, of_the_house, ready
from passaparola.outbox.render.message import ANY
from passaparola.outbox.render.share import links
from passaparola.settings import Settings

HOUSE_LETTERS = {
    "answer": ("email", ANY),
    "confirm": ("email",),
    "your_data": ("email",),
    "forget_me": ("email",),
}


def check_message(settings: Settings, name: str, medium: str, campaign: str, event: str | None) -> list[str]:
    """`event` is what the campaign enters on; only then a template may speak of it."""
    try:
        wordings = frozen(settings.home, name, medium, campaign, settings)
        channel = speaking(medium, settings)
    except PassaparolaError as error:
        return [str(error)]
    problems: list[str] = []
    for locale, wording in wordings.items():
        try:
            cut = ready(wording, locale, house_constants(campaign, settings))
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
OFFER = re.compile(
    r"\d ?%|\b(discounts?|coupons?|vouchers?|promo\w*|special offers?|(our|an|this) offer|on sale|buy now|shop now|order now|save \d+|deals?|"
    r"scont[oi]|offert[ae]|saldi|buon[oi] (sconto|regalo)|acquista ora|compra ora|ordina ora|in omaggio)\b",
    re.I,
)


def offers(settings: Settings, name: str, medium: str, campaign: str) -> list[str]:
    """What sounds like an offer in a transactional message; somebody looks at it."""
    try:
        wordings = frozen(settings.home, name, medium, campaign, settings)
    except PassaparolaError:
        return []
    return [
        f"{wording.where}: “{found[0]}” sounds like an offer, and this goes out without a yes; leave it out, or give the campaign a "
        "topic that people say yes to"
        for wording in wordings.values()
        if (found := OFFER.search(" ".join((wording.texts.get("subject", ""), wording.texts["text"]))))
    ]


def check_house(settings: Settings) -> list[str]:
    """The letters that answer someone, with the words they are given."""
    given = {
        "subject": "Re: …",
        "text": "…",
        "paragraphs": [[{"text": "…"}, {"newline": True}, {"url": "https://example.org", "text": "example.org"}]],
        "author": "Marta",
        "action_url": "https://example.org",
    }
    problems = []
    for name, media in HOUSE_LETTERS.items():
        for medium in media:
            try:
                for locale, wording in of_the_house(settings, name, medium).items():
                    words = {**house_constants(f"_{name}", settings), **given}
                    cut = ready(Frozen.model_validate(wording), locale, words)
                    cut.values(sample_values({}, Frozen.model_validate(wording), None))
            except (PassaparolaError, TemplateError, ValueError) as error:
                problems.append(f"templates/_house/{name}: {error}")
    return problems


def _over_the_cast(cut: Ready, wording: Frozen, event: str | None) -> list[str]:
    for name, contact in CAST.items():
        try:
            cut.values(sample_values(contact, wording, event))
        except (TemplateError, ValueError, TypeError) as error:
            reason = error.message if isinstance(error, TemplateError) else str(error)
            return [f"{wording.where}: for {name}, {reason}"]
    return []


def sample_values(contact: dict[str, object], wording: Frozen, event: str | None) -> dict[str, object]:
    """What a template is given in a preview: links that lead nowhere, and an order like any other."""
    followed: dict[str, object] = {"event": {**AN_ORDER, "kind": event}} if event else {}
    if wording.share:
        followed |= {"share": links(wording.share, "preview")}
    return followed | {
        "contact": contact,
        "links": list(wording.links),
        "unsubscribe_url": "https://example.org/u/preview",
        "preferences_url": "https://example.org/preferences/preview",
        "survey_url": "https://example.org/s/preview",
        "pixel_url": "",
    }
