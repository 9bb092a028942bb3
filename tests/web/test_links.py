"""The pages that contacts meet: GET shows and changes nothing, POST does; every wrong token gets the same answer."""

import hmac
import warnings
from contextlib import suppress
from hashlib import blake2b
from urllib.parse import quote

import httpx
import pytest
from itsdangerous import Signer
from itsdangerous.signer import SigningAlgorithm
from sqlmodel import select

from passaparola.contacts import audience, consent
from passaparola.contacts.audience import Question
from passaparola.inbound.pipeline import apply_inbound
from passaparola.outbox.links import PURPOSES, Links
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Consent, Suppression
from tests.conftest import NOW
from tests.outbox.test_guards import drained, released
from tests.people import add, ref

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient


def path(url: str) -> str:
    return url.removeprefix("https://shop.example")


def test_scanners_that_follow_a_link_unsubscribe_nobody(web: TestClient, store: Store, links: Links) -> None:
    for _ in range(10):
        for method in ("GET", "HEAD", "OPTIONS"):
            web.request(method, path(links.unsubscribe("1-0-email")))
    with store.read() as session:
        assert consent.may_be_written_to(session, 1, "email", "newsletter")


def test_one_click_unsubscribes_without_cookie_or_redirect(web: TestClient, store: Store, links: Links) -> None:
    for _ in range(2):
        answer = web.post(path(links.unsubscribe("1-0-email")), data={"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.cookies) == (200, {})
        assert "Fatto." in answer.text
    with store.read() as session:
        assert not consent.may_be_written_to(session, 1, "email", "newsletter")
        rows = session.exec(select(Consent).where(Consent.granted == False)).all()  # noqa: E712
        assert [(row.topic, row.proof["way"]) for row in rows] == [("newsletter", "one click")]


def test_preferences_write_what_was_ticked_and_nothing_that_was_not_asked(
    web: TestClient, store: Store, links: Links
) -> None:
    page = web.get(path(links.preferences("1-0-email")))
    assert "newsletter" in page.text
    web.post(path(links.preferences("1-0-email")), data={"topics": ["tracking:email", "made_up:email"]})
    with store.read() as session:
        assert not consent.may_be_written_to(session, 1, "email", "newsletter")
        assert consent.may_be_written_to(session, 1, "email", "tracking")
        assert not consent.may_be_written_to(session, 1, "email", "made_up")


def test_a_click_goes_where_the_frozen_content_says_and_is_an_event(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    answer = web.get(path(links.clicks(ref("1-0-email"), 1)[0]))
    assert answer.status_code == 302
    assert (
        answer.headers["location"] == "https://shop.example/spring?utm_source=email&utm_medium=email&utm_campaign=hello"
    )
    apply_inbound(store, settings, utc_now())
    with store.read() as session:
        words = audience.load_catalogue(session, settings)
        assert (
            audience.count_members(session, Question.parse("clicked within 1 day", words), NOW.replace(year=2027)) == 0
        )
        assert audience.count_members(session, Question.parse("clicked", words), NOW) == 1


@pytest.mark.parametrize("tail", ["/99", "/-1", "/0?to=//evil.example", "//evil.example"])
def test_no_click_leads_anywhere_else(web: TestClient, links: Links, tail: str) -> None:
    base = path(links.clicks(ref("1-0-email"), 1)[0]).rpartition("/")[0]
    assert "evil" not in web.get(base + tail).headers.get("location", "")


def test_without_tracking_consent_a_letter_holds_no_link_that_knows_who_follows(
    web: TestClient, settings: Settings
) -> None:
    letters = {
        p.name.partition("-")[0]: p.read_text().replace("=\n", "").replace("=\r\n", "")
        for p in (settings.var / "mailbox" / "email" / "new").iterdir()
    }
    assert "/c/" in letters["1"]
    assert "/c/" not in letters["2"]
    assert "https://shop.example/spring?utm" in letters["2"]
    assert "<img" not in letters["2"]


def test_a_token_is_what_itsdangerous_would_sign(links: Links) -> None:
    class Keyed(SigningAlgorithm):
        def get_signature(self, key: bytes, value: bytes) -> bytes:
            return blake2b(value, key=key, digest_size=16).digest()

    for purpose in PURPOSES:
        key = hmac.digest(links.secret.encode(), f"passaparola {purpose}".encode(), "sha256")
        signer = Signer(key, sep=".", key_derivation="none", algorithm=Keyed())
        token = links.sign(purpose, "12-0-email~3~it~")
        assert token == signer.sign("12-0-email~3~it~").decode()
        assert links.read(purpose, token) == "12-0-email~3~it~"
        for wrong in (token[:-1], token + "x", token.replace("12-", "13-"), "x" + token, "", ".", "é." + token):
            assert links.read(purpose, wrong) is None


def test_every_wrong_token_gets_the_same_page(web: TestClient, links: Links) -> None:
    right = path(links.unsubscribe("1-0-email"))
    other = [
        links.unsubscribe("999999-0-email"),
        links.preferences("1-0-email").replace("preferences", "u"),
        links.unsubscribe("1-7-email"),
    ]
    wrong = [right[:-3], right + "x", "/u/", "/u/1-0-email.", "/u/%00", *map(path, other)]
    answers = {(web.get(url).status_code, web.get(url).text) for url in wrong if url != "/u/"}
    assert len(answers) == 1
    assert answers.pop()[0] == 404


def test_no_page_runs_a_script(web: TestClient, links: Links) -> None:
    for url in (path(links.unsubscribe("1-0-email")), "/mailbox", path(links.preferences("1-0-email"))):
        policy = web.get(url).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "script-src" not in policy


@pytest.mark.parametrize(
    "url", ["/mailbox", "/mailbox/1-0-email,1", "/timeline", "/preview/hello/hello/email/en", "/media/x.png"]
)
def test_the_mailbox_is_open_to_this_machine_only(url: str, web: TestClient) -> None:
    assert web.get(url).status_code in (200, 404)
    for elsewhere in ({"X-Forwarded-For": "203.0.113.9"}, {"Host": "evil.example"}):
        answer = web.get(url, headers=elsewhere)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/console/login?next={quote(url)}")
    assert web.get("/", headers={"Host": "shop.example"}).status_code == 404


@pytest.mark.parametrize("name", ["../../store.db", "..%2f..%2fstore.db", "%2e%2e/x", "x\x00"])
def test_a_letter_is_never_a_file_beside_the_mailbox(web: TestClient, name: str) -> None:
    for url in (f"/mailbox/{name}", f"/media/{name}"):
        with suppress(httpx.InvalidURL):  # the client itself refuses to send some of these
            assert web.get(url).status_code == 404


def test_what_a_contact_is_called_runs_nowhere(store: Store, settings: Settings, web: TestClient) -> None:
    with store.write() as session:
        add(
            session,
            "<script>alert(1)</script>",
            NOW,
            email="eve@example.org",
            last_name='"><img src=x onerror=alert(2)>',
        )
    template = settings.home / "templates" / "hello" / "email.mjml"
    template.write_text(template.read_text().replace("Dear", "Dearest"))
    released(store, settings)
    drained(store, settings)
    page = web.get("/mailbox").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    letter = next(p for p in (settings.var / "mailbox" / "email" / "new").iterdir() if "eve@" in p.read_text())
    for url in (f"/mailbox/{letter.name}", f"/mailbox/{letter.name}/html"):
        answer = web.get(url)
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
    assert "sandbox" in web.get(f"/mailbox/{letter.name}/html").headers["content-security-policy"]


def test_previews_use_the_renderer_that_sends(web: TestClient) -> None:
    answer = web.get("/preview/hello/hello/email/en")
    assert "Dear Ben" in answer.text
    assert web.get("/preview/hello/nothing/email/en").status_code == 400


def test_health_says_ok_while_the_store_answers(web: TestClient, store: Store) -> None:
    assert web.get("/healthz").json() == {"status": "ok"}
    with store.read() as session:
        assert session.exec(select(Suppression)).all() == []
