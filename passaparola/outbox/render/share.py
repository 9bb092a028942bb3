"""Share and enjoy: the row of links by which a reader passes the word on, and what it says for them.

In a letter it stands where `<!-- share -->` is, in a post as a line with the address. Which networks: those whose
channel says where its share links lead, so a new one adds itself.
"""

import html
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from passaparola.channel import registry
from passaparola.outbox.render.utm import add_utm

MARK = "<!-- share -->"
TITLES = {"it": "Passaparola", "en": "Share and enjoy"}
HERE = {"it": "La pagina da far girare", "en": "The page to pass on"}


class Share(BaseModel):
    """A share bar: `page` is where it leads, `text` what goes with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    page: str = Field(pattern=r"^https?://[^\s\"<>]+$", description="where the friend will land")
    text: str = Field(min_length=3, max_length=200, description="the words that go with it, as the sharer's own")
    title: str = Field("", max_length=60, description="above the links")


def share_networks() -> dict[str, str]:
    """Return the media that a page can be shared on, with their names in their order."""
    brandings = {medium: registry.branding_of(medium) for medium in registry.sendable_media()}
    named = [(branding.title, medium) for medium, branding in brandings.items() if branding.share]
    return {medium: title for title, medium in sorted(named, key=lambda pair: pair[0].lower())}


def landing_page(share: Share, campaign: str) -> str:
    """Return the page on which a friend lands."""
    return add_utm(share.page, {"utm_source": "share", "utm_medium": "word_of_mouth", "utm_campaign": campaign})


def share_url(medium: str, share: Share, url: str) -> str:
    """Return a network's own page for sharing `url`; for email, a mail that the reader sends."""
    text = quote(share.text, safe="")
    if medium == "email":
        return f"mailto:?subject={text}&body={text}%0A%0A{quote(url, safe='')}"
    return registry.branding_of(medium).share.format(url=quote(url, safe=""), text=text)


def share_links(share: Share, campaign: str, referral: str = "") -> dict[str, str]:
    """Build the share links by network. `own` is the sharer's own link, where they allow that we know who passed the
    word on."""
    page = landing_page(share, campaign)
    links = {
        medium: f"{referral}/{medium}" if referral else share_url(medium, share, page) for medium in share_networks()
    }
    return links | {"email": share_url("email", share, referral or page), "page": referral or page}


def share_row(share: Share, locale: str) -> str:
    """Build a row of MJML: the names of the networks, each a link, and the page itself for whoever would rather copy
    it."""
    title = html.escape(share.title or TITLES.get(locale[:2], TITLES["en"]))
    names = {**share_networks(), "email": "Email"}
    drawn = " · ".join(f'<a href="{{{{ share.{medium} }}}}">{html.escape(name)}</a>' for medium, name in names.items())
    drawn += ' · <a href="{{ public_url }}/feed.xml">RSS</a>'
    here = HERE.get(locale[:2], HERE["en"])
    return (
        f'<mj-section><mj-column><mj-text css-class="small" padding="14px 28px 0"><b>{title}</b></mj-text>'
        '<mj-raw><tr><td class="small" style="padding:0 '
        f'28px;font-family:Georgia,serif;font-size:15px;line-height:2.2">{drawn}</td></tr></mj-raw>'
        '<mj-text css-class="small" font-size="13px" padding="0 28px 14px"><a '
        f'href="{{{{ share.page }}}}">{here}</a></mj-text></mj-column></mj-section>'
    )


def share_line(share: Share, campaign: str, locale: str) -> str:
    """Build a line for a post."""
    return f"{share.title or TITLES.get(locale[:2], TITLES['en'])}: {landing_page(share, campaign)}"


def share_choices(share: Mapping[str, Any], campaign: str, referral: str = "") -> list[tuple[str, str]]:
    """List the choices for a page of ours: names and links."""
    parsed = Share.model_validate(share)
    links = share_links(parsed, campaign, referral)
    return [(name, links[medium]) for medium, name in ({**share_networks(), "email": "Email"}).items()]
