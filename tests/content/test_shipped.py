"""Everything that is shipped for marketers is fine: it parses, renders for the cast, and fits its network."""

import re

import pytest

from passaparola.channel.registry import sender_for
from passaparola.contacts import audience
from passaparola.journeys import campaign
from passaparola.operations.check_content import check_content
from passaparola.outbox.render.check import check_message, sample_values
from passaparola.outbox.render.frozen import cut_wording, freeze_wordings, launch_constants
from passaparola.settings import Settings
from tests.conftest import ROOT

HOUSE = Settings(home=ROOT, secret_key="x")


def test_all_shipped_content_passes_the_check() -> None:
    assert check_content(HOUSE, check_message, audience.load_catalogue(None, HOUSE)) == []


def test_there_are_three_audiences_and_a_spring_campaign_in_two_languages() -> None:
    assert len(audience.audience_names(ROOT)) >= 3
    assert "spring_launch" in campaign.campaign_names(ROOT)
    for medium in ("email", "twitter"):
        assert set(freeze_wordings(ROOT, "spring_launch", medium, "spring_launch", HOUSE)) == {"en", "it"}


@pytest.mark.parametrize("locale", ["en", "it"])
def test_the_letter_is_light_has_no_foreign_images_and_a_way_out(locale: str) -> None:
    wording = freeze_wordings(ROOT, "spring_launch", "email", "spring_launch", HOUSE)[locale]
    content = {"campaign": "c", "title": "t", "sender": {"organisation": "O", "postal_address": "P", "public_url": "u"}}
    cut = cut_wording(wording, locale, launch_constants(content))
    given = sample_values({"first_name": "Anna", "country": "IT"}, wording, None) | {"unsubscribe_url": "UNSUB"}
    html = cut.skeleton.parts["html"].fill(cut.values(given))
    assert len(html) < 102_000, "Gmail clips longer letters"
    assert "UNSUB" in html
    assert not re.search(r"<img[^>]+src=\"http", html)
    assert "prefers-color-scheme" in html


def test_the_post_fits_in_one_and_says_what_it_costs() -> None:
    for locale, wording in freeze_wordings(ROOT, "spring_launch", "twitter", "spring_launch", HOUSE).items():
        skeleton = cut_wording(
            wording,
            locale,
            launch_constants(
                {
                    "campaign": "c",
                    "title": "t",
                    "sender": {"organisation": "O", "postal_address": "P", "public_url": "u"},
                }
            ),
        ).skeleton
        channel = sender_for("twitter", HOUSE)
        assert "+" not in channel.approval_note(skeleton)
        assert channel.price(skeleton) > 0
        assert all(len(media.alt) > 30 for media in skeleton.media)
