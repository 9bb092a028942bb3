"""A person and a colleague in a real browser: sign up, confirm, get a letter, answer with one tap, write back; see it in the
inbox, answer, find it in the mailbox. And every page, on a phone and on a desk, without a fault that axe knows of."""

import email
import email.policy
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from passaparola import engine
from passaparola.channel.message_ids import find_signed_id
from passaparola.contacts import staff
from passaparola.outbox.links import Links
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Address, Batch, Conversation, Event
from tests import providers
from tests.conftest import NOW, ROOT
from tests.outbox.test_guards import drained
from tests.people import add
from tests.web.conftest import BROWSER as A_PERSONS

CHROMIUM = shutil.which("chromium")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PASSWORD = "correct horse battery"
PICTURES = os.environ.get("PASSAPAROLA_PICTURES", "")  # a folder: the pages as they look are kept there

pytestmark = pytest.mark.skipif(
    not CHROMIUM and not os.environ.get("PASSAPAROLA_BROWSER"), reason="there is no chromium on this machine"
)


class House:
    """The web app in a process of its own, and the clocks in our hands."""

    def __init__(self, store: Store, own: Settings, url: str) -> None:
        self.store, self.own, self.url = store, own, url

    def work(self, later: float = 0) -> None:
        engine.tick(self.store, self.own, utc_now() + timedelta(seconds=later), actor="t")
        self.send()

    def send(self) -> None:
        """In a thread of its own: playwright keeps an event loop in this one."""
        sending = threading.Thread(target=drained, args=(self.store, self.own))
        sending.start()
        sending.join()

    def letters(self, to: str) -> list[Any]:
        box = self.own.var / "mailbox" / "email" / "new"
        found = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in box.iterdir()]
        return [mail for mail in found if str(mail["To"]).endswith(to) or to in str(mail["To"])]

    def hears(self, raw: bytes) -> None:
        kind, body = providers.form(raw)
        headers = {"Content-Type": kind, **providers.signed(body)}
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/webhooks/sendgrid_inbound", body, headers), timeout=10
        ) as answer:
            assert answer.status == 202


@pytest.fixture
def house(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    from passaparola import settings as module

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    shutil.copytree(ROOT / "policies", home / "policies")
    letter = home / "templates" / "hello" / "email.mjml"
    letter.write_text(
        letter.read_text().replace("contact.first_name", "contact.first_name | default('friend')")
        + '<mj-section><mj-column><mj-text><a href="{{ survey_url }}?score=10">10</a> <a href="{{ survey_url }}?score=2">2</a></mj-text></mj-column></mj-section>\n'
    )
    for name, value in {
        "HOME": str(home), "VAR": str(home / "var"), "DATABASE_URL": f"sqlite:///{tmp_path}/web.db", "SECRET_KEY": "a secret of the tests",
        "PUBLIC_URL": url, "SENDGRID_INBOUND_PUBLIC_KEY": providers.PUBLIC, "SENDGRID_WEBHOOK_PUBLIC_KEY": providers.PUBLIC,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"PASSAPAROLA_{name}", value)
    module.get_settings.cache_clear()
    own = module.get_settings()
    store = Store(own.database).open()
    with store.write() as session:
        staff.add_staff(session, "marta", "admin", PASSWORD, actor="t", now=NOW)
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "passaparola.web.app:app", "--port", str(port), "--log-level", "warning"],
        cwd=ROOT,
    )
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{url}/healthz", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield House(store, own, url)
    finally:
        process.terminate()
        process.wait(10)
        store.close()
        module.get_settings.cache_clear()


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        )  # fmt: skip
        yield found
        found.close()


def link(mail: Any, room: str) -> str:
    body = mail.get_body(preferencelist=("html",)).get_content()
    found = re.search(rf'href="([^"]+/{room}/[^"]+)"', body)
    assert found is not None
    return found[1].replace("&amp;", "&")


def campaign_sent(house: House) -> None:
    from passaparola.journeys import launch
    from passaparola.outbox.render.frozen import freezer

    freeze = freezer(house.own)
    made = launch.prepare(house.store, house.own, "hello", freeze, actor="t", now=utc_now())
    launch.approve(house.store, house.own, made.id or 0, made.hash, freeze, approver="Ada", now=utc_now())
    engine.start_launch(house.store, house.own, made.id or 0, actor="t", now=utc_now())
    house.send()
    with house.store.write() as session:  # a while ago: nobody taps in the second in which a letter leaves
        session.execute(update(Batch).values(claimed_at=utc_now() - timedelta(minutes=5)))


def test_a_person_and_a_colleague_talk(house: House, browser: Any) -> None:
    person = browser.new_context(
        viewport=PHONE, java_script_enabled=False, locale="it-IT", user_agent=A_PERSONS
    ).new_page()
    person.goto(f"{house.url}/signup")
    person.fill("#email", "giulia@example.org")
    person.click("button")
    assert "Guarda nella tua casella" in person.content()
    house.work()
    (asked,) = house.letters("giulia@example.org")
    assert (asked["Auto-Submitted"], asked["List-Unsubscribe"]) == ("auto-generated", None)
    person.goto(link(asked, "confirm"))
    person.click("button")
    assert "Benvenuto" in person.content()

    campaign_sent(house)
    letter = next(mail for mail in house.letters("giulia@example.org") if mail["List-Unsubscribe"])
    person.goto(link(letter, "s").replace("score=2", "score=10"))
    assert "la tua risposta è arrivata" in person.content()
    house.work(later=30)
    house.hears(
        providers.letter(
            "Il mio pacco non è arrivato!",
            sender="giulia@example.org",
            subject="Re: Ciao",
            answers=str(letter["Message-ID"]),
        )
    )
    house.work()

    desk = browser.new_context(viewport=DESK).new_page()
    desk.goto(f"{house.url}/console/inbox")
    desk.fill("#name", "marta")
    desk.fill("#password", PASSWORD)
    desk.click("button")
    desk.wait_for_selector("text=Re: Ciao")
    desk.select_option("select[name=kind]", "praise")  # the list is filtered without a page being loaded
    desk.wait_for_selector("text=Nobody waits")
    desk.select_option("select[name=kind]", "complaint")
    desk.click("text=giulia") if desk.query_selector("text=giulia") else desk.click("#list a")
    desk.wait_for_selector("text=Il mio pacco non è arrivato!")
    desk.fill("#text", "Cara Giulia,\n\nil corriere arriva domani.")
    desk.click("text=Send and close")
    desk.wait_for_selector("text=closed")
    house.work()
    answer = next(
        mail for mail in house.letters("giulia@example.org") if "corriere" in mail.get_body(("plain",)).get_content()
    )
    assert (answer["In-Reply-To"], answer["Subject"]) == ("<1@example.org>", "Re: Ciao")
    assert find_signed_id(house.own.secret, str(answer["Message-ID"]))

    with house.store.read() as session:
        kinds = list(session.execute(select(col(Event.kind)).order_by(col(Event.id))).scalars())
        assert {"signed_up", "clicked", "survey_answered", "replied"} <= set(kinds)
        assert session.execute(select(col(Address.verified_at))).scalar() is not None
        assert session.execute(select(col(Conversation.state))).scalar() == "closed"


def test_no_page_has_a_fault_that_axe_knows_of_on_a_phone_or_a_desk(house: House, browser: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with house.store.write() as session:
        for name in ("Alice", "Bruno"):
            add(
                session,
                name,
                NOW,
                language="it" if name == "Alice" else "en",
                last_name="Rossi",
                city="Milano",
                birthday="05-01",
            )
        add(session, "Alice", NOW, email="alice2@example.org", last_name="Rossi", birthday="05-01")
    campaign_sent(house)
    for n, words in enumerate(("Il miele è buonissimo, grazie", "Il vasetto era rotto, voglio un rimborso")):
        house.hears(providers.letter(words, sender="alice@example.org", name=f"<{n}@x>", subject="Una parola"))
    house.work()
    links = Links(house.own.secret, house.url)
    data = f"1.{int(time.time()) + 3600}"
    public = {
        "signup-it": "/signup?lang=it", "signup-en": "/signup?lang=en", "unsubscribe": links.unsubscribe("1-0-email"), "preferences-it": links.preferences("1-0-email"),
        "preferences-en": links.preferences("2-0-email"), "survey": links.survey("1-0-email") + "?score=9", "data": f"/data/{links.sign('data', data)}",
        "forget": f"/forget/{links.sign('forget', data)}", "lost": "/u/nonsense", "mailbox": "/mailbox", "timeline": "/timeline", "login": "/console/login",
    }  # fmt: skip
    inside = {
        "inbox": "/console/inbox?state=", "conversation": "/console/inbox/1", "people": "/console/people?q=alice", "person": "/console/people/1", "campaigns": "/console/campaigns",
        "campaign": "/console/campaigns/hello", "audiences": "/console/audiences?q=everyone", "audience": "/console/audiences/readers?contact=1", "channels": "/console/channels",
    }  # fmt: skip
    faults = []
    both = ("light", "dark")  # each page in each of them once; for pictures, everywhere
    for size, viewport, schemes in (
        ("phone", PHONE, both if PICTURES else both[:1]),
        ("desk", DESK, both if PICTURES else both[1:]),
    ):
        for scheme in schemes:
            context = browser.new_context(viewport=viewport, color_scheme=scheme)
            page = context.new_page()
            for name, path in {**public, "entering": "", **inside}.items():
                if name == "entering":
                    page.fill("#name", "marta")
                    page.fill("#password", PASSWORD)
                    page.click("button")
                    page.wait_for_url("**/inbox")
                    continue
                page.goto(path if path.startswith("http") else house.url + path)
                found = Axe().run(page)
                faults += [
                    f"{name}, {size}, {scheme}: {fault['id']} {[node['html'][:120] for node in fault['nodes'][:2]]}"
                    for fault in found.response["violations"]
                ]
                if page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"):
                    faults.append(f"{name}, {size}: wider than the screen")
                if PICTURES:
                    page.screenshot(path=f"{PICTURES}/{name}-{size}-{scheme}.png", full_page=True)
            context.close()
    assert faults == []
