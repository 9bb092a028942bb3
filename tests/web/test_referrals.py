"""Word of mouth: a reader passes it on, a friend comes, and who passed it on is known where they allow that it is."""

import email
import email.policy
import re
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col

from passaparola.contacts import audience, consent
from passaparola.contacts.audience import Question
from passaparola.errors import BadContent
from passaparola.inbound.pipeline import apply_inbound
from passaparola.outbox.links import Links
from passaparola.outbox.render.frozen import freeze_wordings
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Activity, Event
from tests.conftest import NOW
from tests.people import ref
from tests.web.test_links import TestClient, path

SHARE = "share: {page: 'https://shop.example/honey?a=1', text: 'Honey & oil from people I know'}\nsurvey: {kind: nps}\n"


@pytest.fixture(autouse=True)
def passing_on(home: Path) -> None:
    letter = home / "templates" / "hello" / "email.mjml"
    letter.write_text(
        letter.read_text().replace("preheader: A word\n", f"preheader: A word\n{SHARE}") + "<!-- share -->\n"
    )


def sent_to(settings: Settings, name: str) -> str:
    for file in (settings.var / "mailbox" / "email" / "new").iterdir():
        message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        if name in str(message["to"]):
            body = message.get_body(("html",))  # type: ignore[attr-defined]
            return str(body.get_content())
    raise AssertionError(name)


def told(store: Store, settings: Settings) -> list[tuple[str, bool]]:
    apply_inbound(store, settings, utc_now())
    with store.read() as session:
        found = (
            select(col(Event.kind), col(Event.machine)).where(col(Event.source) == "referral").order_by(col(Event.id))
        )
        return [(kind, machine) for kind, machine in session.execute(found)]


def test_who_allows_it_has_a_link_of_their_own_and_who_does_not_has_the_page(
    web: TestClient,
    settings: Settings,
    links: Links,
) -> None:
    alice, bob = sent_to(settings, "alice"), sent_to(settings, "bob")
    assert f'href="{links.referral(ref("1-0-email"))}/facebook"' in alice
    assert "/w/" not in bob
    target = "https%3A%2F%2Fshop.example%2Fhoney%3Fa%3D1%26utm_source%3Dshare%26utm_medium%3Dword_of_mouth%26utm_campaign%3Dhello"
    assert f'href="https://www.facebook.com/sharer/sharer.php?u={target}"' in bob
    assert re.search(r'href="mailto:\?subject=Honey%20%26%20oil', bob)
    for name in ("Bluesky", "Facebook", "LinkedIn", "Mastodon", "Telegram", "WhatsApp", "X", "Email", "RSS"):
        assert f">{name}</a>" in bob


def test_a_tap_on_a_network_is_noted_and_leads_there_with_their_own_link(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    answer = web.get(path(f"{links.referral(ref('1-0-email'))}/facebook"))
    own = links.referral(ref("1-0-email")).replace(":", "%3A").replace("/", "%2F")
    assert answer.headers["location"] == f"https://www.facebook.com/sharer/sharer.php?u={own}"
    assert told(store, settings) == [("shared", False)]


def test_a_friend_who_comes_is_led_on_and_counts_for_who_passed_it_on(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    answer = web.get(path(links.referral(ref("1-0-email"))))
    assert answer.headers["location"].startswith(
        "https://shop.example/honey?a=1&utm_source=share&utm_medium=word_of_mouth"
    )
    web.get(path(links.referral(ref("1-0-email"))), headers={"User-Agent": "Slackbot-LinkExpanding 1.0"})
    assert told(store, settings) == [("friend_visited", False), ("friend_visited", True)]
    with store.read() as session:
        assert session.get(Activity, (1, "friend_visited")).count == 1  # type: ignore[union-attr]
        question = Question.parse(
            "friend_visited at least 1 times within 7 days", audience.load_catalogue(session, settings)
        )
        assert audience.count_members(session, question, utc_now()) == 1


def test_after_a_no_to_being_known_the_link_leads_on_and_nothing_is_noted(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    with store.write() as session:
        consent.record(session, 1, "email", "tracking", False, at=utc_now(), source="t")
    assert web.get(path(links.referral(ref("1-0-email")))).status_code == 302
    assert web.get(path(f"{links.referral(ref('1-0-email'))}/bluesky")).status_code == 302
    assert told(store, settings) == []


@pytest.mark.parametrize("wrong", ["/w/x", "/w/{token}/pigeon", "/w/{token}/email", "/w/{click}"])
def test_nothing_else_leads_anywhere(wrong: str, web: TestClient, links: Links) -> None:
    tokens = {"token": links.sign("referral", str(ref("1-0-email"))), "click": links.sign("click", "1-0-email")}
    answer = web.get(wrong.format(**tokens))
    assert (answer.status_code, "location" in answer.headers) == (404, False)


def test_who_answers_a_survey_may_pass_it_on_there(web: TestClient, links: Links) -> None:
    page = web.post(path(links.survey("1-0-email")), data={"score": "10"}).text
    assert f'href="{links.referral(ref("1-0-email"))}/mastodon"' in page
    assert "Passaparola" in page


def test_half_a_share_bar_says_which_half_is_missing(settings: Settings) -> None:
    letter = settings.home / "templates" / "hello" / "email.mjml"
    whole = letter.read_text()
    for lacking, named in (
        (whole.replace("<!-- share -->", ""), "in the text"),
        (whole.replace(SHARE, ""), "front matter"),
    ):
        letter.write_text(lacking)
        with pytest.raises(BadContent, match=named):
            freeze_wordings(settings.home, "hello", "email", "hello", settings)


def test_a_post_names_the_page_too(settings: Settings) -> None:
    post = settings.home / "templates" / "hello" / "facebook.txt"
    post.write_text(f"---\n{SHARE}---\nThe honey is here.\n\n<!-- share -->\n")
    (wording,) = freeze_wordings(settings.home, "hello", "facebook", "hello", settings).values()
    assert wording.texts["text"].endswith(
        "Share and enjoy: https://shop.example/honey?a=1&utm_source=share&utm_medium=word_of_mouth&utm_campaign=hello"
    )
    assert NOW
