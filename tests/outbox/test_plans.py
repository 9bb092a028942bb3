"""The hot statements find their rows by an index, on both databases, whether or not anybody has counted the rows before.

On a store of realistic shape: most events are opens and clicks of letters that went out before, so an index of kinds leads
to half of all there is.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from passaparola import engine
from passaparola.channel.message_ids import MessageId
from passaparola.contacts import activity
from passaparola.inbound import link_events, machines, pipeline, surveys
from passaparola.inbound import store as inbound_store
from passaparola.outbox.claim import reserve_batch
from passaparola.settings import Settings
from passaparola.store.bulk import insert_many
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Event
from tests import providers
from tests.conftest import NOW
from tests.outbox.test_guards import drained, released
from tests.people import crowd

EARLIER = 30_000
LARGE = ("event", "message", "enrolment", "activity", "contact", "address", "consent", "batch", "event_name", "intake")
PARTIAL = (
    "intake_new",
    "batch_open",
    "batch_unknown",
    "message_unknown",
    "enrolment_due",
)  # they hold what is open, and nothing else
PEOPLE = 3_000


@pytest.fixture
def busy(store: Store, settings: Settings) -> Store:
    crowd(store, PEOPLE, NOW)
    released(store, settings)
    drained(store, settings)
    kinds = ("delivered", "opened", "clicked", "opened")
    with store.write() as session:
        blank = {
            "amount": None,
            "currency": None,
            "properties": {},
            "step": 0,
            "medium": "email",
            "machine": False,
            "source": "then",
        }
        rows = [
            {"id": n + 1, "contact_id": n % PEOPLE + 1, "kind": kinds[n % 4], "at": NOW + timedelta(seconds=n), "received_at": NOW + timedelta(seconds=n),
             "source_id": f"{n}", "enrolment_id": 1_000_000 + n // 4, **blank}
            for n in range(EARLIER)
        ]  # fmt: skip
        insert_many(session, Event, rows)
        if not store.on_sqlite:
            session.execute(text(f"SELECT setval('event_id_seq', {EARLIER + 1})"))
        activity.refresh(session, "EUR")
    return store


def plans_of(store: Store, work: Callable[[], Any]) -> dict[str, str]:
    """Every statement that reads or changes rows, with how the database goes about it."""
    told: dict[str, Any] = {}

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            told.setdefault(statement, parameters[0] if many else parameters)

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
    found = {}
    with store.engine.connect() as connection:
        for statement, parameters in told.items():
            explain = "EXPLAIN QUERY PLAN " if store.on_sqlite else "EXPLAIN "
            rows = connection.exec_driver_sql(explain + statement, parameters).all()
            found[statement] = "\n".join(str(row[-1]) for row in rows)
        connection.rollback()
    return found


def reads_all(plan: str, on_sqlite: bool) -> list[str]:
    """The lines of a plan that go through a whole large table, or through all events of a kind."""
    bad = []
    for line in plan.splitlines():
        words = line.strip().removeprefix("->").split()
        if on_sqlite:
            table = words[1] if len(words) > 1 else ""
            if (
                words[:1] == ["SCAN"]
                and table in LARGE
                and not line.endswith(PARTIAL)
                and "USING COVERING INDEX" not in line
            ):
                bad.append(line)
            if "event_new (kind=?)" in line:
                bad.append(line)
        elif (scan := re.search(r"Seq Scan on event.* rows=(\d+)", line)) and int(scan[1]) > 500:
            bad.append(line)
    return bad


def click(store: Store, settings: Settings) -> None:
    new = link_events.new_link_event(MessageId(7, 0, "email"), "clicked", "link", "1", utc_now(), "", link=1)
    with store.write() as session:
        link_events.store_link_events(session, [new])
    link_events.apply_link_events(store, settings, utc_now)


def body(store: Store, settings: Settings) -> None:
    kinds = ("processed", "delivered", "open", "click", "bounce", "spamreport")
    _, sent = providers.events(
        *(
            providers.event(kind, f"{n}-0-email", f"reader{n}@example.org", id=f"{kind}{n}")
            for n, kind in enumerate(kinds, 20)
        )
    )
    with store.write() as session:
        inbound_store.store_body(session, inbound_store.NewBody("sendgrid", "1", {}, sent, utc_now(), urgent=True))
    pipeline.apply_inbound(store, settings, utc_now())


WORK: dict[str, Callable[[Store, Settings], Any]] = {
    "a click": lambda store, settings: click(store, settings),
    "a webhook's body": body,
    "taps that become answers": lambda store, settings: surveys.settle(store, settings, utc_now()),
    "a tick": lambda store, settings: engine.tick(store, settings, utc_now(), actor="t"),
    "a claim": lambda store, settings: reserve_batch(store, settings, worker="t", now=utc_now()),
}


@pytest.mark.parametrize("counted", [False, True], ids=["never counted", "counted"])
def test_nothing_hot_reads_a_whole_table(counted: bool, busy: Store, settings: Settings) -> None:
    if not busy.on_sqlite and not counted:
        pytest.skip("PostgreSQL counts by itself within a minute")
    if counted:
        busy.analyse()
    released(busy, settings.model_copy(update={"frequency_cap": "3 per 7 days"}))
    for name, work in WORK.items():
        for statement, plan in plans_of(busy, lambda work=work: work(busy, settings)).items():
            assert not (bad := reads_all(plan, busy.on_sqlite)), f"{name}: {bad}\n{statement}\n{plan}"


def test_the_judge_of_machines_goes_by_the_letter(busy: Store) -> None:
    """The index of kinds leads to every open and click that ever was: 44 seconds a click at ten million events."""
    with busy.write() as session:
        plans = plans_of(busy, lambda: machines.judge_touches(session, {7, 8}))
    [plan] = [plan for statement, plan in plans.items() if "event.machine" in statement and "claimed_at" in statement]
    if busy.on_sqlite:
        assert "event_of_message (enrolment_id=?)" in plan
    busy.analyse()
    with busy.write() as session:
        plans = plans_of(busy, lambda: machines.judge_touches(session, {7, 8}))
    assert all("event_new" not in plan for plan in plans.values())


def test_a_store_knows_its_rows_after_an_import(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from passaparola.contacts.imports import importing
    from tests.contacts.test_imports import imported

    monkeypatch.setattr(importing, "ANALYSE_FROM_ROWS", 50)
    path = settings.home / "people.csv"
    path.write_text("email\n" + "".join(f"reader{n}@example.org\n" for n in range(60)))
    imported(store, settings, path)
    with store.read() as session:
        asked = (
            "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'contact'"
            if store.on_sqlite
            else "SELECT count(*) FROM pg_stats WHERE tablename = 'address'"
        )
        assert session.execute(text(asked)).scalar_one() > 0
