"""Through a real server: every deployment, suspend, approve and resume, and what Prefect must never come to know."""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, select, text
from sqlmodel import col

from passaparola import engine
from passaparola.contacts import consent
from passaparola.journeys import launch
from passaparola.operations.stack import Stack
from passaparola.outbox import ledger
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Batch, Enrolment, Message
from tests.flows.conftest import CANARIES
from tests.people import add

pytestmark = pytest.mark.timeout(400)


def api(stack: Stack, path: str, body: Any = None) -> Any:
    import base64
    import json
    import urllib.request

    data = None if body is None else json.dumps(body).encode()
    password = base64.b64encode(stack.password.encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {password}"}
    request = urllib.request.Request(f"{stack.api}{path}", data, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def deployment(stack: Stack, name: str) -> dict[str, Any]:
    return next(found for found in api(stack, "/deployments/filter", {}) if found["name"] == name)


def started(stack: Stack, name: str, **parameters: Any) -> str:
    return str(
        api(stack, f"/deployments/{deployment(stack, name)['id']}/create_flow_run", {"parameters": parameters})["id"]
    )


def reaches(stack: Stack, run: str, *states: str, within: int = 120) -> str:
    until = time.monotonic() + within
    while time.monotonic() < until:
        state = api(stack, f"/flow_runs/{run}")["state"]
        if state["type"] in states:
            return str(state.get("message") or "")
        assert state["type"] not in {"FAILED", "CRASHED", "CANCELLED", "COMPLETED"}, state
        time.sleep(0.5)
    raise AssertionError(f"the run did not reach {states}")


def approved(stack: Stack, run: str, **said: str) -> None:
    answer = {"decision": "approve", "approver": "Ada", **said}
    assert api(stack, f"/flow_runs/{run}/resume", {"run_input": answer})["status"] == "ACCEPT"


def mailed(house: Settings) -> Counter[str]:
    folder = house.var / "mailbox" / "email" / "new"
    return Counter(path.name.partition(",")[0] for path in folder.iterdir()) if folder.is_dir() else Counter()


def told(house: Settings, launch: int | None = None) -> ledger.LaunchTally:
    store = Store(house.database)
    try:
        with store.read() as session:
            return ledger.tally_launch(session, launch or ledger.latest_launch(session, "hello"))
    finally:
        store.close()


def test_every_button_and_clock_is_there(stack: Stack) -> None:
    found = {d["name"]: d for d in api(stack, "/deployments/filter", {})}
    assert set(found) == {
        "campaign-send",
        "campaign-preview",
        "audience-preview",
        "campaign-report",
        "contacts-import",
        "campaign-rehearse",
        "system-follow-up",
        "system-advance",
        "system-deliver",
        "system-poll",
        "system-reconcile",
        "system-watchdog",
    }
    assert all(
        found[name]["schedules"][0]["active"]
        for name in ("system-advance", "system-deliver", "system-poll", "system-reconcile", "system-watchdog")
    )
    form = found["campaign-send"]["parameter_openapi_schema"]["definitions"]
    assert form["CampaignName"]["enum"] == ["hello"] or form["CampaignName"]["const"] == "hello"
    assert all(field["description"] and field["title"] for field in form["Sending"]["properties"].values())
    assert form["Sending"]["properties"]["dry_run"]["default"] is True


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401), ({"Authorization": "Basic d3Jvbmc="}, 401), ({"Host": "evil.example:4200"}, 400),
        ({"Origin": "https://evil.example", "Content-Type": "text/plain"}, 401),
    ],
)  # fmt: skip
def test_no_stranger_s_page_speaks_to_prefect(stack: Stack, headers: dict[str, str], status: int) -> None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(
        f"{stack.api}/deployments/filter", b"{}", {"Content-Type": "application/json", **headers}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == status
    assert "access-control-allow-origin" not in refused.value.headers
    refused.value.close()


def test_only_prefect_s_own_pages_may_read_its_answers(stack: Stack) -> None:
    import urllib.error
    import urllib.request

    def asked(origin: str) -> str | None:
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        request = urllib.request.Request(f"{stack.api}/deployments/filter", method="OPTIONS", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return str(answer.headers["access-control-allow-origin"])
        except urllib.error.HTTPError as error:
            error.close()
            return error.headers["access-control-allow-origin"]

    assert asked(f"http://localhost:{stack.prefect_port}") == f"http://localhost:{stack.prefect_port}"
    assert asked("https://evil.example") is None
    assert (stack.settings.var / "prefect_password").stat().st_mode & 0o077 == 0


def test_a_dry_run_shows_everything_and_sends_nothing(stack: Stack, house: Settings) -> None:
    run = started(stack, "campaign-send", send={"campaign": "hello"})
    reaches(stack, run, "COMPLETED")
    assert not mailed(house)
    artifact = next(
        a for a in api(stack, "/artifacts/filter", {}) if a["key"] == "preview-hello" and a["flow_run_id"] == run
    )
    assert "302" in artifact["data"]


def test_a_change_after_the_preview_voids_the_approval(stack: Stack, house: Settings) -> None:
    run = started(stack, "campaign-send", send={"campaign": "hello", "dry_run": False})
    reaches(stack, run, "PAUSED")
    template = house.home / "templates" / "hello" / "email.mjml"
    before = template.read_text()
    template.write_text(before.replace("Dear", "Dearest"))
    approved(stack, run)
    assert "was changed after" in reaches(stack, run, "FAILED")
    template.write_text(before)
    assert not mailed(house)


def test_nobody_approves_by_accident(stack: Stack) -> None:
    run = started(stack, "campaign-send", send={"campaign": "hello", "dry_run": False})
    reaches(stack, run, "PAUSED")
    refused = api(stack, f"/flow_runs/{run}/resume", {"run_input": {}})
    assert refused["status"] == "REJECT"
    assert (
        api(stack, f"/flow_runs/{run}/resume", {"run_input": {"decision": "reject", "approver": "Ada"}})["status"]
        == "ACCEPT"
    )
    reaches(stack, run, "COMPLETED")


def test_approved_it_goes_out_once_and_the_report_says_so(stack: Stack, house: Settings) -> None:
    run = started(stack, "campaign-send", send={"campaign": "hello", "dry_run": False, "comment": "for the tests"})
    reaches(stack, run, "PAUSED")
    approved(stack, run)
    reaches(stack, run, "COMPLETED")
    assert set(mailed(house).values()) == {1}
    assert told(house).total("sent") == 302
    report = started(stack, "campaign-report", campaign="hello")
    reaches(stack, report, "COMPLETED")
    artifact = next(a for a in api(stack, "/artifacts/filter", {}) if a["flow_run_id"] == report)
    assert "data:image/svg+xml" in artifact["data"]
    assert "| sent | 302 |" in artifact["data"]


def test_an_audience_is_counted_and_a_file_comes_in(stack: Stack, house: Settings) -> None:
    counted = started(stack, "audience-preview", who={"name": "readers", "question": 'city = "Canarytown"'})
    folder = house.var / "import"
    folder.mkdir(exist_ok=True)
    (folder / "more.csv").write_text(f"email,nome\nmore@example.org,{CANARIES[0]}\nbad,x\n")
    came = started(stack, "contacts-import", people={"file": "more.csv"})
    refused = started(stack, "contacts-import", people={"file": "nowhere.csv"})
    reaches(stack, counted, "COMPLETED")
    reaches(stack, came, "COMPLETED")
    assert "There is no file" in reaches(stack, refused, "FAILED")
    artifacts = {a["flow_run_id"]: a["data"] for a in api(stack, "/artifacts/filter", {})}
    assert "## 2 people" in artifacts[counted]
    assert "| rejected | 1 |" in artifacts[came]


def ordered(stack: Stack, number: int) -> None:
    import urllib.request

    from tests import shops

    headers, body = shops.events(
        {"event": "Order Completed", "email": f"buyer{number}@example.org", "timestamp": f"{utc_now():%Y-%m-%dT%H:%M:%S.%fZ}",
         "messageId": f"order-{number}", "traits": {"first_name": "Buyer"}, "properties": {"order_id": str(number)}},
        f"msg-{number}",
    )  # fmt: skip
    request = urllib.request.Request(f"http://127.0.0.1:{stack.port}/events", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202


def thanked(house: Settings, orders: Iterable[int], within: float = 90) -> None:
    """Each order has its own letter, and one."""
    store, until, wanted = Store(house.database), time.monotonic() + within, {str(number) for number in orders}
    sent = (
        select(col(Enrolment.key))
        .join(Message, col(Message.enrolment_id) == col(Enrolment.id))
        .join(Batch, col(Batch.id) == col(Message.batch_id))
        .where(col(Enrolment.key).in_(wanted), col(Batch.state) == "sent")
    )
    found: list[str] = []
    while time.monotonic() < until and set(found) != wanted:
        time.sleep(0.3)
        with store.read() as session:
            found = list(session.execute(sent).scalars())
    store.close()
    assert sorted(found) == sorted(wanted)


def thanks_stand(house: Settings) -> None:
    """A follow-up that thanks for every order, and the people who will order; once for all these tests."""
    if (house.home / "campaigns" / "thanks.yaml").exists():
        return
    (house.home / "campaigns" / "thanks.yaml").write_text(
        "title: Thanks\ntopic: after_sales\nenter: {on: order_completed, key: order_id}\nsteps:\n  - {say: hello, by: [email]}\n"
    )
    store = Store(house.database)
    freeze = freezer(house)
    made = launch.prepare(store, house, "thanks", freeze, actor="t", now=utc_now())
    launch.approve(store, house, made.id or 0, made.hash, freeze, approver="Ada", now=utc_now())
    launch.release(store, made.id or 0, actor="t", now=utc_now())
    with store.write() as session:
        for number in range(101):
            buyer = add(session, "Buyer", utc_now(), email=f"buyer{number}@example.org", says=None)
            consent.record(session, buyer, "email", "after_sales", True, at=utc_now(), source="t")
    store.close()


def test_orders_are_followed_up_at_once_and_a_hundred_are_not_a_hundred_runs(stack: Stack, house: Settings) -> None:
    thanks_stand(house)
    for number in range(100):
        ordered(stack, number)
    thanked(house, range(100))
    until, runs = time.monotonic() + 80, []
    while time.monotonic() < until and not runs:
        time.sleep(1)
        ours = {"deployments": {"id": {"any_": [deployment(stack, "system-follow-up")["id"]]}}}
        runs = api(stack, "/flow_runs/filter", ours)
    assert 1 <= len(runs) <= 5
    reaches(stack, runs[0]["id"], "COMPLETED", "CANCELLED")
    assert api(stack, "/events/filter", {"filter": {"event": {"name": ["passaparola.event.order_completed"]}}})[
        "events"
    ]


def test_a_campaign_is_rehearsed_by_a_button(stack: Stack, house: Settings) -> None:
    before = mailed(house)
    run = started(stack, "campaign-rehearse", rehearsing={"campaign": "hello", "days": "14"})
    reaches(stack, run, "COMPLETED")
    artifact = next(a["data"] for a in api(stack, "/artifacts/filter", {}) if a["flow_run_id"] == run)
    assert "```mermaid" in artifact
    assert "data:image/svg+xml" in artifact
    assert mailed(house) == before


def test_the_form_and_an_artifact_are_seen_in_a_real_browser(stack: Stack, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if not chromium:
        assert os.environ.get("PASSAPAROLA_BROWSER") != "required", "CI installs a browser"
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    artifact = next(a for a in api(stack, "/artifacts/filter", {}) if a["key"] == "preview-hello")
    ui = f"http://127.0.0.1:{stack.prefect_port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.goto(ui)
        page.locator("input[type=password]").first.fill(stack.password)
        page.keyboard.press("Enter")
        page.wait_for_url("**/dashboard**", timeout=30_000)
        page.goto(f"{ui}/deployments/deployment/{deployment(stack, 'campaign-send')['id']}/run")
        page.get_by_text("On: show everything and stop").wait_for(timeout=30_000)
        assert page.get_by_text("its audience is shown before anything leaves").is_visible()
        page.goto(f"{ui}/artifacts/artifact/{artifact['id']}")
        page.get_by_text("would get it by email").first.wait_for(timeout=30_000)
        page.locator("img[src^='data:image/jpeg']").first.wait_for(timeout=30_000)
        phone = browser.new_page(viewport={"width": 390, "height": 800})
        phone.goto(f"http://127.0.0.1:{stack.port}/mailbox")
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()


def test_prefect_knows_nobody(stack: Stack) -> None:
    """Parameters, logs, events, artifacts, results: everything in its database, every table, every column."""
    uri = os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"].replace("+asyncpg", "+psycopg")
    prefect_database = create_engine(uri)
    searched = 0
    with prefect_database.connect() as connection:
        for table in inspect(prefect_database).get_table_names():
            for canary in (*CANARIES, "Reader17", "reader17@example.org"):
                found = connection.execute(
                    text(f'SELECT count(*) FROM "{table}" t WHERE t::text ILIKE :it'), {"it": f"%{canary}%"}
                ).scalar()
                assert not found, f"{canary} is in {table}"
                searched += 1
    prefect_database.dispose()
    assert searched > 100


def test_prefect_gone_in_the_middle_of_a_run_doubles_and_loses_nobody(stack: Stack, house: Settings) -> None:
    template = house.home / "templates" / "hello" / "email.mjml"
    template.write_text(template.read_text().replace("Dear", "Dearest"))
    before = set(mailed(house))
    run = started(stack, "campaign-send", send={"campaign": "hello", "dry_run": False})
    reaches(stack, run, "PAUSED")
    approved(stack, run)
    until = time.monotonic() + 90
    while told(house).state == "prepared" and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(stack.processes["prefect"].pid, signal.SIGKILL)
    thanks_stand(house)
    ordered(stack, 100)  # the consumer does not need Prefect to be there
    thanked(house, [100])
    for name in ("worker", "consumer"):  # the flow's own process too: it would go on without the others
        for pid in _family(stack.processes[name].pid):
            os.kill(pid, signal.SIGKILL)
    _drained_by_hand(house)
    new = {name: count for name, count in mailed(house).items() if name not in before}
    assert set(new.values()) == {1}
    found = told(house).as_json()
    assert found["sent"] + found["held"] + found["failed"] + found["unknown"] == found["audience"], found
    assert found["unknown"] == 0
    assert found["audience"] >= 302


def _family(pid: int) -> list[int]:
    """A process and all that descend from it, wherever they were started to."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _drained_by_hand(house: Settings) -> None:
    """What any other worker would do: drain, and after the quarantine look what lies in the mailbox."""
    import asyncio
    from datetime import timedelta

    from passaparola.outbox.deliver import Drain
    from passaparola.outbox.reconcile import reconcile

    store = Store(house.database)
    time.sleep(2)
    engine.tick(store, house, actor="t", now=utc_now())
    asyncio.run(Drain(store, house).run())
    later = utc_now() + timedelta(hours=1)
    for _ in range(2):  # given up, and looked for a quarantine later
        asyncio.run(reconcile(store, later))
        later += timedelta(hours=1)
    asyncio.run(Drain(store, house, clock=lambda: later).run())
    store.close()
