"""Signing up, choosing, reading one's own data, being forgotten: what the pages promise to people and hide from strangers."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from passaparola import engine
from passaparola.contacts import consent
from passaparola.contacts.addresses import address_key
from passaparola.inbound.pipeline import apply_inbound
from passaparola.outbox.links import Links
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Address, Consent, Contact, Launch, SignUp
from tests.conftest import NOW, ROOT
from tests.people import ref
from tests.web.test_links import TestClient, path


@pytest.fixture(autouse=True)
def topics(settings: Settings) -> None:
    from passaparola.web import signup

    (settings.home / "policies").mkdir()
    (settings.home / "policies" / "topics.yaml").write_text((ROOT / "policies" / "topics.yaml").read_text())
    signup.limiter.storage.reset()


def decide(store: Store, settings: Settings, later: timedelta = timedelta(0)) -> None:
    engine.tick(store, settings, utc_now() + later, actor="t")


def letters(store: Store, name: str) -> int:
    with store.read() as session:
        return session.execute(select(func.count()).where(col(Launch.campaign) == f"_{name}")).scalar_one()


def test_a_second_yes_is_a_consent_with_both_as_its_proof(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    web.post("/signup", data={"email": "Giulia@Example.org", "topics": ["newsletter", "made_up"], "lang": "it"})
    decide(store, settings)
    assert letters(store, "confirm") == 1
    with store.read() as session:
        contact = session.execute(
            select(col(Address.contact_id)).where(col(Address.value) == "giulia@example.org")
        ).scalar_one()
        assert not consent.may_be_written_to(session, contact, "email", "newsletter")
    url = f"/confirm/{links.sign('confirm', '1')}"
    for _ in range(5):
        assert "Ancora un tocco" in web.get(url).text  # a scanner follows the link, and confirms nothing
    with store.read() as session:
        assert not consent.may_be_written_to(session, contact, "email", "newsletter")
    for _ in range(2):
        assert "Benvenuto" in web.post(url).text
    with store.read() as session:
        rows = session.execute(select(Consent).where(col(Consent.contact_id) == contact)).scalars().all()
        assert [(row.topic, row.granted) for row in rows] == [("newsletter", True)]
        proof = rows[0].proof
        assert "La lettera del mese" in proof["asked"]["words"]
        assert {"network_address", "agent", "at"} <= set(proof["asked"]) & set(proof["confirmed"])
        assert session.get_one(Contact, contact).language == "it"


def test_a_confirmation_that_comes_too_late_or_was_made_up_is_lost(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    web.post("/signup", data={"email": "g@example.org"})
    decide(store, settings)
    with store.write() as session:
        session.get_one(SignUp, 1).asked_at = NOW - timedelta(days=8)
    for url in (
        f"/confirm/{links.sign('confirm', '1')}",
        f"/confirm/{links.sign('confirm', '99')}",
        "/confirm/1.x",
        f"/confirm/{links.sign('unsubscribe', '1')}",
    ):
        assert web.post(url).status_code == 404


@pytest.mark.parametrize(
    "email", ["alice@example.org", "new@example.org", "silenced@example.org", "not-known@nowhere.example"]
)
def test_the_page_says_the_same_of_every_address(web: TestClient, store: Store, settings: Settings, email: str) -> None:
    with store.write() as session:
        consent.suppress(
            session,
            "email",
            address_key(settings.secret, "email", "silenced@example.org"),
            "complaint",
            at=NOW,
            source="t",
        )
    other = web.post("/signup", data={"email": "other@example.org"})
    answer = web.post("/signup", data={"email": email})
    assert (answer.status_code, answer.text, answer.headers.items() - other.headers.items()) == (200, other.text, set())
    with store.read() as session:  # and does the same: one row, whoever it is
        assert session.execute(select(func.count()).select_from(SignUp)).scalar_one() == 2


def test_a_flood_of_sign_ups_writes_one_letter_to_one_address(
    web: TestClient, store: Store, settings: Settings
) -> None:
    for n in range(300):
        web.post("/signup", data={"email": f"victim{n % 3}@example.org", "website": "spam" if n % 7 == 0 else ""})
    for _ in range(3):
        decide(store, settings)
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(SignUp)).scalar_one() <= 20
    assert letters(store, "confirm") == 3
    decide(store, settings, timedelta(hours=2))
    assert letters(store, "confirm") == 3


def test_a_confirmation_holds_nothing_that_a_stranger_typed(web: TestClient, store: Store, settings: Settings) -> None:
    web.post(
        "/signup",
        data={"email": '"buy pills at evil.example"@example.org', "first_name": "BUY PILLS", "lang": "BUY PILLS"},
    )
    web.post("/signup", data={"email": "fine@example.org", "first_name": "BUY PILLS", "topics": "BUY PILLS"})
    decide(store, settings)
    from tests.outbox.test_guards import drained

    drained(store, settings)
    said = " ".join(p.read_text() for p in (settings.var / "mailbox" / "email" / "new").iterdir())
    assert "BUY PILLS" not in said


@pytest.mark.parametrize("data", [{}, {"email": "nonsense"}, {"email": "@"}, {"email": "x" * 400 + "@y.example"}])
def test_what_is_no_address_is_said_kindly(
    web: TestClient, store: Store, settings: Settings, data: dict[str, str]
) -> None:
    web.post("/signup", data=data)
    decide(store, settings)
    assert letters(store, "confirm") == 0


def test_the_preference_centre_keeps_topics_frequency_and_pause(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    url = path(links.preferences("1-0-email"))
    assert "Dopo il tuo ordine" in web.get(url).text
    web.post(url, data={"topics": ["after_sales:email", "tracking:email"], "often": "1", "pause": "30"})
    with store.read() as session:
        alice = session.get_one(Contact, 1)
        assert alice.max_per_week == 1
        assert alice.paused_until is not None
        assert consent.may_be_written_to(session, 1, "email", "after_sales")
        assert not consent.may_be_written_to(session, 1, "email", "newsletter")
        proof = session.execute(select(col(Consent.proof)).where(col(Consent.topic) == "after_sales")).scalar_one()
        assert proof["words"].startswith("Dopo il tuo ordine")
    web.post(url, data={"do": "nothing more"})
    with store.read() as session:
        assert [
            consent.may_be_written_to(session, 1, "email", topic) for topic in ("after_sales", "newsletter", "anything")
        ] == [False] * 3


def test_who_asked_for_a_pause_or_for_less_is_held_with_the_reason(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    from tests.outbox.test_guards import drained, reasons, released

    web.post(path(links.preferences("1-0-email")), data={"topics": ["newsletter:email"], "pause": "30"})
    with store.write() as session:
        session.get_one(Contact, 2).max_per_week = 1
        session.execute(
            __import__("sqlalchemy")
            .update(__import__("passaparola.store.models", fromlist=["Batch"]).Batch)
            .values(finished_at=utc_now() - timedelta(days=1))
        )
    letter = settings.home / "templates" / "hello" / "email.mjml"
    letter.write_text(letter.read_text().replace("Dear", "Dearest"))
    made = released(store, settings)
    drained(store, settings)
    assert reasons(store, made) == {"held: asked for a pause": 1, "held: wants fewer messages a week": 1}


def test_my_data_and_forget_me_are_confirmed_from_the_mailbox(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    url = path(links.preferences("1-0-email"))
    assert "Guarda nella tua casella" in web.post(f"{url}/data").text
    web.post(f"{url}/forget")
    assert (letters(store, "your_data"), letters(store, "forget_me")) == (1, 1)
    until = int(utc_now().timestamp()) + 60
    for purpose in ("data", "forget"):
        for wrong in (f"1.{until - 3600}", f"99.{until}", "1", "x.y"):
            assert web.get(f"/{purpose}/{links.sign(purpose, wrong)}").status_code == 404  # type: ignore[arg-type]
        other = "forget" if purpose == "data" else "data"
        assert web.get(f"/{purpose}/{links.sign(other, f'1.{until}')}").status_code == 404  # type: ignore[arg-type]
    file = web.get(f"/data/{links.sign('data', f'1.{until}')}/file")
    assert json.loads(file.text)["person"]["first_name"] == "Alice"
    forget = f"/forget/{links.sign('forget', f'1.{until}')}"
    web.get(forget)
    with store.read() as session:
        assert session.get_one(Contact, 1).erased_at is None
    assert "Ti abbiamo dimenticato" in web.post(forget).text
    with store.read() as session:
        assert session.get_one(Contact, 1).erased_at is not None
    assert web.get(path(links.preferences("1-0-email"))).status_code == 404
    assert web.get(forget).status_code == 404


def test_following_every_link_of_every_letter_changes_nothing(
    web: TestClient, store: Store, settings: Settings, links: Links
) -> None:
    urls = [
        links.unsubscribe("1-0-email"),
        links.preferences("1-0-email"),
        links.clicks(ref("1-0-email"), 1)[0],
        links.survey("1-0-email") + "?score=9",
        links.pixel("1-0-email"),
    ]

    def said() -> object:
        with store.read() as session:
            return [
                row.model_dump() for table in (Consent, Contact) for row in session.execute(select(table)).scalars()
            ]

    before = said()
    for url in urls * 10:
        for method in ("GET", "HEAD", "OPTIONS"):
            web.request(method, path(url), headers={"Sec-Purpose": "prefetch"} if method == "GET" else None)
    apply_inbound(store, settings, utc_now())
    assert said() == before
    with store.read() as session:
        from passaparola.store.models import Activity, Event

        assert session.execute(select(func.count()).select_from(Activity)).scalar_one() == 0
        assert session.execute(select(func.count()).where(~col(Event.machine))).scalar_one() == 0
