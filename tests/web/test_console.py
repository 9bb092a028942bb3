"""The console: nobody gets in without a name and a password, nothing changes without a token, and no contact's words run."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import func, select
from sqlmodel import col

from passaparola.channel.receiver import InboundText
from passaparola.contacts import consent, staff
from passaparola.conversations import threads
from passaparola.conversations.threads import IncomingText
from passaparola.settings import Settings
from passaparola.store import incidents
from passaparola.store.database import Store
from passaparola.store.models import Conversation, Enrolment, Event, Merge, Proposal, Staff, Turn
from tests.conftest import NOW, fresh
from tests.outbox.test_guards import drained, released
from tests.people import add
from tests.web.test_links import TestClient

PASSWORD = "correct horse battery"
ROLES = ("reader", "care", "marketer", "admin")
HASHED = staff.HASH.hash(PASSWORD)  # once: it is slow on purpose
NASTY = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}'


@pytest.fixture
def database(migrated: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """Pages are drawn and guarded the same on either; what they show is tested in its own room, on both."""
    with fresh("sqlite", migrated, tmp_path) as address:
        yield address


@pytest.fixture
def console(store: Store, settings: Settings) -> Iterator[TestClient]:
    from passaparola.web import link_context
    from passaparola.web.app import app
    from passaparola.web.console import auth

    link_context.store.cache_clear()
    auth.limiter.storage.reset()
    with store.write() as session:
        alice = add(session, "Alice", NOW, language="it", last_name="Rossi", birthday="05-01", city="Milano")
        add(session, "Alice", NOW, email="alice.rossi@example.org", last_name="Rossi", birthday="05-01", city="Milano")
        for role in ROLES:
            session.add(Staff(name=role, role=role, password=HASHED, session_key=role, created_at=NOW))
        said(session, settings, alice, "Il pacco non è arrivato, sono molto delusa")
    released(store, settings)
    drained(store, settings)
    with TestClient(app, base_url="https://shop.example", follow_redirects=False) as client:
        yield client
    link_context.store().close()
    link_context.store.cache_clear()


def said(session: Any, settings: Settings, contact: int, words: str, **more: Any) -> int:
    event = Event(
        contact_id=contact,
        kind="replied",
        at=NOW,
        received_at=NOW,
        source="mail",
        source_id=f"<{words[:9]}>",
        medium="email",
        properties={},
    )
    session.add(event)
    session.flush()
    spoken = IncomingText(
        contact,
        event.id or 0,
        "email",
        "mail",
        NOW,
        InboundText(words, more.pop("subject", "Il mio ordine"), "<m1@x>", "<m1@x>"),
    )
    found = threads.receive(session, settings, spoken, NOW)
    assert found is not None
    return found.id or 0


def enter(client: TestClient, role: str = "admin") -> str:
    """Log in; returns the token of the session's forms."""
    client.cookies.clear()
    assert client.post("/console/login", data={"name": role, "password": PASSWORD}).status_code == 303
    page = client.get("/console/inbox").text
    return page.partition('name="token" value="')[2].partition('"')[0]


def console_routes() -> list[tuple[str, str, APIRoute]]:
    from passaparola.web.app import app

    found = []
    for context in iter_route_contexts(app.routes):
        route: Any = context.original_route
        if isinstance(route, APIRoute) and context.path.startswith("/console"):
            found += [(method, context.path, route) for method in route.methods]
    assert len(found) > 15
    return found


OPEN = {("GET", "/console/login"), ("POST", "/console/login"), ("GET", "/console/static/htmx.js")}


def guard_of(route: APIRoute) -> Any:
    return next((d.call for d in route.dependant.dependencies if hasattr(d.call, "needed")), None)


def filled(path: str) -> str:
    return path.replace("{id_}", "1").replace("{name}", "hello" if "campaigns" in path else "readers")


def test_every_route_has_a_role_and_every_change_a_token() -> None:
    for method, path, route in console_routes():
        if (method, path) in OPEN:
            continue
        guard = guard_of(route)
        assert guard is not None, f"{method} {path} lets everybody in"
        assert (method != "GET") == hasattr(guard, "changes"), f"{method} {path}"


def test_nobody_enters_without_logging_in(console: TestClient) -> None:
    for method, path, _ in console_routes():
        if (method, path) not in OPEN:
            answer = console.request(method, filled(path))
            assert (answer.status_code, answer.headers.get("location")) in ((303, "/console/login"), (401, None)), path


def test_a_role_is_let_in_where_it_is_enough_and_nowhere_else(console: TestClient) -> None:
    for role in ROLES:
        token = enter(console, role)
        for method, path, route in console_routes():
            if (method, path) in OPEN or path in ("/console/logout", "/console/people/{id_}/erase"):
                continue
            allowed = staff.has_role(role, guard_of(route).needed)
            answer = console.request(
                method,
                filled(path),
                data={"token": token, "other": "2", "merge": "99", "text": "Ciao"} if method == "POST" else None,
            )
            assert (answer.status_code != 403) == allowed, (role, method, path, answer.status_code)
            assert answer.status_code < 500, (role, method, path)


@pytest.mark.parametrize(
    "forged", [{"token": ""}, {"token": "x" * 32}, {}, {"headers": {"Origin": "https://evil.example"}}, {"headers": {"Sec-Fetch-Site": "cross-site"}}],
    ids=["empty", "guessed", "missing", "another origin", "another site"],
)  # fmt: skip
def test_a_change_from_elsewhere_is_refused(console: TestClient, store: Store, forged: dict[str, Any]) -> None:
    token = enter(console)
    headers = forged.pop("headers", None)
    data = {"to": "care", "token": token} if headers else {"to": "care", **forged}
    for method, path, _ in console_routes():
        if method == "POST" and (method, path) not in OPEN:
            assert console.post(filled(path), data=data, headers=headers).status_code == 403, path
    with store.read() as session:
        assert session.get_one(Conversation, 1).assignee == ""


def test_a_wrong_password_and_an_unknown_name_are_told_apart_by_nothing(console: TestClient) -> None:
    one = console.post("/console/login", data={"name": "admin", "password": "wrong"})
    two = console.post("/console/login", data={"name": "nobody", "password": "wrong"})
    assert (one.status_code, one.text) == (two.status_code, two.text) == (401, one.text)


def test_after_ten_tries_the_door_stays_shut(console: TestClient) -> None:
    codes = [console.post("/console/login", data={"name": "admin", "password": f"{n}"}).status_code for n in range(12)]
    assert codes[-1] == 429
    assert console.post("/console/login", data={"name": "admin", "password": PASSWORD}).status_code == 429


@pytest.mark.parametrize("change", [{"password": "another long password"}, {"role": "reader"}, {"active": False}])
def test_whatever_changes_about_someone_ends_their_sessions_within_one_request(
    console: TestClient, store: Store, change: dict[str, Any]
) -> None:
    enter(console)
    assert console.get("/console/people").status_code == 200
    with store.write() as session:
        staff.change_staff(session, "admin", actor="t", now=NOW, **change)
    assert console.get("/console/people").headers["location"] == "/console/login"


def test_a_cookie_cannot_be_made_up(console: TestClient) -> None:
    enter(console)
    value = console.cookies["passaparola_console"]
    for wrong in (value[:-2], "eyJOYW1l" + value[8:], "", "x.y.z"):
        console.cookies.clear()
        console.cookies.set("passaparola_console", wrong, path="/")
        assert console.get("/console/inbox").status_code == 303


def test_an_answer_goes_out_in_the_thread_and_closing_lets_go_of_what_was_held(
    console: TestClient, store: Store, settings: Settings
) -> None:
    token = enter(console, "care")
    assert "delusa" in console.get("/console/inbox/1").text
    console.post("/console/inbox/1/assign", data={"token": token, "to": "care"})
    console.post(
        "/console/inbox/1/answer",
        data={"token": token, "text": "Cara Alice, mi dispiace.\n\nLo rispediamo {{ oggi }} <b>."},
    )
    drained(store, settings)
    box = list((settings.var / "mailbox" / "email" / "new").iterdir())
    letter = next(path.read_text() for path in box if "Re: Il mio ordine" in path.read_text())
    assert "In-Reply-To: <m1@x>" in letter
    assert "List-Unsubscribe" not in letter
    assert "{{ oggi }}" in letter
    assert "<b>." not in letter.partition("text/html")[2]
    assert "sent" in console.get("/console/inbox/1").text
    console.post("/console/inbox/1/close", data={"token": token})
    drained(store, settings)
    with store.read() as session:
        one = session.get_one(Conversation, 1)
        assert (one.state, one.assignee) == ("closed", "care")
    held = [
        path.read_text()
        for path in (settings.var / "mailbox" / "email" / "new").iterdir()
        if "To: Alice Rossi <alice@example.org>" in path.read_text()
    ]
    assert len(held) == 2  # the answer, and the newsletter that had waited for it


@pytest.mark.parametrize(
    "url", ["/preview/hello/hello/email/en", "/timeline", "/mailbox", "/preview/hello/hello/email/en?x=//evil.example"]
)
def test_an_approver_s_link_opens_after_the_login(url: str, console: TestClient) -> None:
    """In production: asked by the public name, from anywhere."""
    console.cookies.clear()
    asked = console.get(url).headers["location"]
    assert asked.startswith("/console/login?next=/")
    form = console.get(asked).text
    back = form.partition('name="next" value="')[2].partition('"')[0]
    given = {"name": "reader", "password": PASSWORD, "next": back}
    assert console.post("/console/login", data=given).headers["location"] == url.partition("?")[0]
    assert console.get(url).status_code == 200
    cookie = next(c for c in console.cookies.jar if c.name == "passaparola_console")
    assert (cookie.path, cookie.secure, cookie.get_nonstandard_attr("SameSite")) == ("/", True, "lax")


@pytest.mark.parametrize(
    "next_",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/mailbox/../../u/x",
        "/u/token",
        "javascript:x",
        "/console//evil",
    ],
)
def test_the_login_leads_nowhere_else(next_: str, console: TestClient) -> None:
    given = {"name": "reader", "password": PASSWORD, "next": next_}
    assert console.post("/console/login", data=given).headers["location"] == "/console/inbox"


def test_a_report_opens_on_a_bad_list(console: TestClient, store: Store) -> None:
    with store.write() as session:
        for n, (contact, enrolment) in enumerate(session.execute(select(col(Enrolment.contact_id), col(Enrolment.id)))):
            session.add(
                Event(contact_id=contact, kind="bounced", at=NOW, received_at=NOW, source="t", source_id=f"b{n}", medium="email",
                      properties={}, enrolment_id=enrolment, step=0)
            )  # fmt: skip
    enter(console)
    assert console.get("/console/campaigns/hello").status_code == 200
    assert console.get("/console/campaigns/hello/json").json()["rates"]["email"]["bounced"][0] == 1.0


def test_two_rows_become_one_person_and_two_again(console: TestClient, store: Store) -> None:
    token = enter(console, "marketer")
    console.post("/console/people/look", data={"token": token})
    assert "the same birthday" in console.get("/console/people").text
    console.post("/console/people/1/merge", data={"token": token, "other": "2"})
    assert console.get("/console/people/2").headers["location"] == "/console/people/1"
    assert "alice.rossi@example.org" in console.get("/console/people/1").text
    with store.read() as session:
        merge = session.execute(select(Merge)).scalar_one()
        assert session.execute(select(col(Proposal.state))).scalar_one() == "accepted"
    console.post("/console/people/1/unmerge", data={"token": token, "merge": merge.id})
    assert "alice.rossi@example.org" in console.get("/console/people/2").text


class Scripts(HTMLParser):
    """What a browser would run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag in ("script", "iframe", "object", "embed", "base") and said.get("src") != "/console/static/htmx.js":
            self.found.append(tag)
        self.found += [
            name for name, value in attrs if name.startswith(("on", "hx-on")) or "javascript:" in (value or "").lower()
        ]


def test_what_contacts_are_called_and_write_runs_nowhere(console: TestClient, store: Store, settings: Settings) -> None:
    with store.write() as session:
        eve = add(session, "Eve", NOW, email="eve@example.org", last_name=NASTY, city=NASTY, traits={NASTY: NASTY})
        person = session.get_one(__import__("passaparola.store.models", fromlist=["Contact"]).Contact, eve)
        person.first_name = NASTY
        said(session, settings, eve, NASTY + " non è arrivato", subject=NASTY)
        consent.record(session, eve, "email", NASTY, True, at=NOW, source=NASTY, proof={NASTY: NASTY})
        session.add(
            Event(
                contact_id=eve,
                kind="order_completed",
                at=NOW,
                received_at=NOW,
                source=NASTY,
                source_id="1",
                properties={"order_id": NASTY, "campaign": NASTY},
            )
        )
    token = enter(console)
    pages = [f"/console/{path}" for path in (
        "inbox", "inbox?state=&q=%22%3E%3Cscript%3E", "inbox/2", "people", "people?q=eve", f"people/{eve}", "campaigns", "campaigns/hello", "audiences",
        "audiences?q=%3Cscript%3Ealert(1)%3C/script%3E", "audiences/readers", f"audiences/readers?contact={eve}",
    )]  # fmt: skip
    assert token
    for url in pages:
        answer = console.get(url)
        assert answer.status_code == 200, url
        assert Scripts(answer.text).found == [], url
        assert "49" not in answer.text.partition("alert(2)")[2][:40]
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


def test_an_erased_person_leaves_the_inbox(console: TestClient, store: Store) -> None:
    token = enter(console)
    console.post("/console/people/1/erase", data={"token": token})  # without saying for good
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Turn)).scalar_one() == 1
    console.post("/console/people/1/erase", data={"token": token, "sure": "yes"})
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Turn)).scalar_one() == 0
    assert "forgotten" in console.get("/console/people/1").text


def test_a_channel_that_stopped_is_on_every_page_until_an_admin_lets_it_go_on(
    console: TestClient, store: Store
) -> None:
    with store.write() as session:
        incidents.open_incident(session, "twitter", "sending", "X refused the keys", NOW)
    enter(console, "marketer")
    assert "twitter is paused since 21 April" in console.get("/console/inbox").text
    assert "go on</button>" not in console.get("/console/channels").text
    token = enter(console)
    assert "go on</button>" in console.get("/console/channels").text
    headers = {"Origin": "https://shop.example"}
    assert console.post("/console/channels/twitter/resume", data={"token": token}, headers=headers).status_code == 303
    assert "is paused" not in console.get("/console/inbox").text
    assert console.post("/console/channels/twitter/resume", data={"token": token}, headers=headers).status_code == 400
