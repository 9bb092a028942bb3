"""The send path under the faults of reliability: whatever breaks, nobody gets it twice and nobody gets lost."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update
from sqlmodel import col

from passaparola import engine
from passaparola.channel.sender import SendResult
from passaparola.channels.sendgrid.sender import SendgridSender
from passaparola.contacts import consent
from passaparola.contacts.addresses import address_key
from passaparola.errors import NotAllowed, NotMigrated
from passaparola.inbound import store as inbound_store
from passaparola.outbox import ledger
from passaparola.outbox.claim import reserve_batch
from passaparola.outbox.deliver import Drain, run_on_uvloop
from passaparola.outbox.reconcile import quarantine_of, reconcile
from passaparola.outbox.record import record_outcome
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Address, Attempt, Audit, Batch, Contact
from tests.faults.outages import away, refusing
from tests.ledger.world import BATCH, World
from tests.people import SECRET
from tests.processes import PROCESSES
from tests.providers import event, events

Make = Callable[..., World]


def came_back(here: World, *people: tuple[str, str]) -> None:
    """The provider's word that it processed these (message, address)."""
    told = [event("processed", message, to, at=int(utc_now().timestamp())) for message, to in people]
    headers, body = events(*told)
    with here.store.write() as session:
        inbound_store.store_body(
            session, inbound_store.NewBody("sendgrid", f"back-{time.monotonic()}", headers, body, utc_now())
        )
    engine.tick(here.store, here.settings, utc_now() + timedelta(seconds=2), actor="the tests")


def accepted(here: World) -> list[tuple[str, str]]:
    return [
        (message, to) for line in here.provider.lines() for message, to in zip(line["message"], line["to"], strict=True)
    ]


def test_kills_at_random_are_resolved_by_what_comes_back(world: Make) -> None:
    """F2"""
    here = world(1_000)
    here.provider.knobs(delay=0.02)
    launched, dice, kills = here.launched(), random.Random(3), 0
    workers = [here.worker() for _ in range(3)]
    until = time.monotonic() + 10
    while any(worker.is_alive() for worker in workers) and kills < 8 and time.monotonic() < until:
        time.sleep(dice.uniform(0.05, 0.3))
        victim = dice.randrange(3)
        if workers[victim].is_alive():
            workers[victim].kill()
            kills += 1
        workers[victim].join()
        workers[victim] = here.worker()
    for worker in workers:
        worker.join(60)
    here.settle()
    here.judge(launched, unknown=kills * 2 * BATCH)
    came_back(here, *accepted(here))
    unknown = here.tally(launched).total("unknown")
    assert here.tally(launched).total("sent") == len(here.provider.accepted())
    assert unknown == 1_000 - len(here.provider.accepted()), "what is still in doubt never reached the provider"


def _at_once(barrier: object, *given: object) -> None:
    from tests.ledger.world import work

    barrier.wait(30)  # type: ignore[attr-defined]
    work(*given)  # type: ignore[arg-type]


def test_eight_workers_that_begin_at_once_send_each_batch_once(world: Make) -> None:
    """F3"""
    from tests.ledger.world import _environment

    here = world(8 * BATCH)
    launched = here.launched()
    barrier = PROCESSES.Barrier(8)
    workers = [
        PROCESSES.Process(target=_at_once, args=(barrier, _environment(), "drain", "", 1, "kill")) for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(here.provider.lines()) == 8
    here.judge(launched)


def test_server_errors_are_doubts_whether_it_took_them_or_not(world: Make) -> None:
    """F6: an error proves nothing, so none is tried again; what was taken after all is told by the provider."""
    here = world(500)
    here.provider.knobs(before={1: 503, 4: 502, 7: 500}, after={9: 500})
    launched = here.launched()
    here.drain()
    here.settle()
    here.judge(launched, unknown=4 * BATCH)
    assert here.tally(launched).total("unknown") == 4 * BATCH
    assert len(here.provider.lines()) == 7
    came_back(here, *accepted(here))
    assert here.tally(launched).total("unknown") == 3 * BATCH


@pytest.mark.parametrize("named", [True, False])
def test_while_a_provider_wants_to_be_left_alone_nobody_calls_it(world: Make, named: bool) -> None:
    """F7: the wait is the channel's, not the one batch's that met it; with or without Retry-After."""
    here = world(16 * BATCH)
    here.provider.knobs(delay=0.2, limit={2: 2}, silent=not named)
    launched = here.launched()
    began = time.time()
    run_on_uvloop(Drain(here.store, here.settings, concurrency=3, wait_seconds=30).run())
    here.judge(launched)
    at = [line["at"] - began for line in here.provider.lines()]
    refused = here.provider.refused_at()[0] - began
    # What was on its way when the answer came may still land; nothing sets out until the wait is over.
    assert not [late for late in at if refused + 0.8 < late < refused + (1.9 if named else 4.5)], (refused, at)


def test_a_provider_that_hangs_leaves_doubts_and_holds_up_nobody_else(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F8"""
    monkeypatch.setattr(SendgridSender, "timeout", 0.5)
    here = world(6 * BATCH)
    here.provider.knobs(delay=3)
    launched = here.launched()
    run_on_uvloop(Drain(here.store, here.settings, wait_seconds=0).run())
    found = here.tally(launched)
    assert found.total("unknown") == 6 * BATCH
    here.provider.knobs(delay=0)
    time.sleep(3.2)  # those that hung are taken after all
    here.settle()
    here.judge(launched, unknown=6 * BATCH)
    came_back(here, *accepted(here))
    assert here.tally(launched).total("sent") == len(here.provider.accepted())


async def test_one_channel_never_has_the_last_lane(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """F8"""
    here = world(8 * BATCH)
    here.launched()
    drain = Drain(here.store, here.settings, concurrency=3)
    most = 0

    async def hang(reserved: object, started: float) -> SendResult:
        nonlocal most
        most = max(most, drain.calls["sendgrid"])
        import asyncio

        await asyncio.sleep(0.05)
        return SendResult()

    monkeypatch.setattr(drain, "_call_provider", hang)
    await drain.run()
    assert 1 <= most <= 2


async def test_a_lane_that_may_call_nobody_asks_for_nothing_meanwhile(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F8: it is the one that is kept free, and under Prefect each look would be a task run."""
    import asyncio

    here = world(6 * BATCH)
    here.launched()
    asked = 0

    async def counted(drain: Drain) -> int:
        nonlocal asked
        asked += 1
        return await drain.send_batch()

    async def slowly(reserved: object, started: float) -> SendResult:
        await asyncio.sleep(0.4)
        return SendResult()

    drain = Drain(here.store, here.settings, concurrency=3, each=counted)
    monkeypatch.setattr(drain, "_call_provider", slowly)
    await drain.run()
    assert drain.outcomes["accepted"] == 6 * BATCH
    assert asked <= 6 + 2 * drain.concurrency


def test_a_refusal_that_names_nobody_is_halved_until_it_does(world: Make) -> None:
    """F9"""
    here = world(BATCH)
    here.provider.knobs(before={1: 400, 2: 400})
    launched = here.launched()
    here.drain()
    here.judge(launched)
    assert len(here.provider.lines()) >= 2


def test_a_database_that_goes_away_while_we_send_loses_and_doubles_nobody(world: Make) -> None:
    """F13"""
    here = world(600)
    here.provider.knobs(delay=0.03)
    launched = here.launched()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            here.drain()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(3):
        time.sleep(0.1)
        with away(here.store):
            time.sleep(0.3)
    thread.join(120)
    assert not errors, "it is waited for"
    here.settle()
    here.judge(launched)


def test_a_database_that_is_busy_now_and_then_is_asked_again(world: Make) -> None:
    """F14"""
    here = world(400)
    launched = here.launched()
    with refusing(here.store, 0.05) as refused:
        here.drain()
    assert refused
    here.settle()
    here.judge(launched)


def test_what_a_killed_worker_held_is_free_within_a_minute_whatever_prefect_believes(world: Make) -> None:
    """F16"""
    here = world(BATCH)
    launched = here.launched()
    assert here.ends("reserved")
    with here.store.read() as session:
        began = session.execute(select(col(Attempt.started_at))).scalar_one()
    assert quarantine_of("sendgrid") <= timedelta(seconds=60)
    assert run_on_uvloop(reconcile(here.store, began + quarantine_of("sendgrid") - timedelta(seconds=1))).stale == 0
    assert run_on_uvloop(reconcile(here.store, began + quarantine_of("sendgrid") + timedelta(seconds=1))).stale == 1
    assert here.tally(launched).total("unknown") == BATCH


def test_a_full_disk_stops_the_sending_and_room_lets_it_go_on(world: Make) -> None:
    """F18"""
    here = world(300)
    launched = here.launched()
    sending = threading.Thread(target=here.drain)
    with refusing(here.store, 1.0, "database or disk is full") as refused:
        sending.start()
        time.sleep(0.5)
    sending.join(60)
    assert refused
    here.settle()
    here.judge(launched)
    if here.store.on_sqlite:
        with here.store.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


@pytest.mark.parametrize("jump", [timedelta(hours=1), -timedelta(hours=1), timedelta(days=3650)])
@pytest.mark.parametrize("channel", ["sendgrid", "mailbox"])
def test_a_clock_that_jumps_while_a_call_is_on_its_way_sends_nothing_twice(
    world: Make, jump: timedelta, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F19: the mailbox can prove that something never arrived, which it has not yet."""
    monkeypatch.setenv("PASSAPAROLA_EMAIL_CHANNEL", channel)
    here = world(3)
    from passaparola.settings import Settings

    here.settings = Settings()
    launched = here.launched()
    now = utc_now()
    held = reserve_batch(here.store, here.settings, worker="w", now=now)
    assert held
    found = run_on_uvloop(reconcile(here.store, now + jump))
    assert found.absent == 0
    assert reserve_batch(here.store, here.settings, worker="another", now=now + jump) is None
    record_outcome(here.store, held, SendResult(receipt="x"), now)
    assert here.tally(launched).total("sent") == 3


@pytest.mark.parametrize("way", ["preferences", "complaint"])
def test_a_no_in_the_middle_of_a_campaign_holds_from_its_commit_on(world: Make, way: str) -> None:
    """F20: no request is reserved after the commit of a no."""
    here = world(600)
    here.provider.knobs(delay=0.02)
    launched = here.launched()
    worker = here.worker()
    dice, said = random.Random(5), {}
    with here.store.read() as session:
        everybody = dict(session.execute(select(col(Address.value), col(Address.contact_id))).all())
    for address in dice.sample(sorted(everybody), 40):
        with here.store.write() as session:
            if way == "preferences":
                consent.record(
                    session, everybody[address], "email", "newsletter", False, at=utc_now(), source="t", proof={}
                )
            else:
                key = address_key(SECRET, "email", address)
                consent.suppress(session, "email", key, "complaint", at=utc_now(), source="t")
        said[address] = utc_now()
        time.sleep(0.01)
    worker.join(60)
    here.drain()
    with here.store.read() as session:
        reserved = {row.id: row.started_at for row in session.execute(select(Attempt)).scalars()}
    for line in here.provider.lines():
        for address in line["to"]:
            assert address not in said or reserved[line["attempt"]] <= said[address]
    here.judge(launched)
    assert here.tally(launched).total("held") > 0


def test_an_address_that_changes_meanwhile_is_written_to_once(world: Make) -> None:
    """F21"""
    here = world(3)
    launched = here.launched()
    with here.store.write() as session:
        new = {"value": "new@example.org", "key": address_key(SECRET, "email", "new@example.org")}
        old = session.execute(select(col(Address.value)).limit(1)).scalar_one()
        session.execute(update(Address).where(col(Address.value) == old).values(**new))
    here.drain()
    held = Counter(here.provider.accepted())
    assert held["new@example.org"] == 1
    assert not held[old]
    here.judge(launched)


def test_two_hundred_commands_at_random_double_nobody_and_a_recall_stops_what_is_not_on_its_way(world: Make) -> None:
    """F23"""
    here = world(1_000)
    here.provider.knobs(delay=0.02)
    launched, dice = here.launched(), random.Random(11)
    worker = here.worker()
    for _ in range(200):
        with suppress(NotAllowed):
            dice.choice([ledger.pause_launch, ledger.resume_launch])(here.store, launched, actor="Ada", now=utc_now())
    ledger.recall_launch(here.store, launched, actor="Ada", now=utc_now())
    at_the_recall = len(here.provider.accepted())
    worker.join(60)
    here.settle()
    here.judge(launched)
    assert len(here.provider.accepted()) <= at_the_recall + 2 * BATCH


def test_ten_thousand_go_out_in_little_memory_each_step_audited(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """F27, short: the long one is `make bench ONLY=memory`."""
    monkeypatch.setattr("tests.ledger.world.BATCH", 500)
    here = world(5_000)
    here.provider.knobs(delay=0.005)
    launched = here.launched()
    worker = here.worker()
    peak = 0
    while worker.is_alive():
        with suppress(OSError, StopIteration), open(f"/proc/{worker.pid}/status") as status:
            peak = max(peak, int(next(line for line in status if line.startswith("VmHWM")).split()[1]))
        time.sleep(0.05)
    here.judge(launched)
    assert 0 < peak < 300_000
    with here.store.read() as session:
        done = Counter(session.execute(select(Audit.action)).scalars())
    assert done["reserved"] == done["accepted"] == 10


def test_whatever_a_contacts_fields_hold_it_is_that_contacts_alone(world: Make) -> None:
    """F28"""
    here = world(20)
    odd = ["\u202eevil", "👩‍🚀" * 50, "", None, "x" * 5_000_000, "{{ 7 * 7 }}", "a\r\nBcc: x@y.example"]
    with here.store.write() as session:
        ids = list(session.execute(select(col(Contact.id)).order_by(col(Contact.id))).scalars())
        for id_, name in zip(ids, odd, strict=False):
            session.execute(update(Contact).where(col(Contact.id) == id_).values(first_name=name))
    launched = here.launched()
    began = time.process_time()
    here.drain()
    assert time.process_time() - began < 20
    found = here.tally(launched).as_json()
    assert found["sent"] + found["failed"] == 20
    assert found["failed"] <= 3
    assert not [line for line in here.provider.lines() if "49" in line["subject"]]


def test_old_code_ends_its_work_while_the_tables_change_and_new_code_waits_for_them(world: Make) -> None:
    """F37"""
    here = world(300)
    here.provider.knobs(delay=0.05)
    launched = here.launched()
    worker = here.worker()
    time.sleep(0.3)
    with here.store.migration_transaction() as connection:
        connection.execute(text("ALTER TABLE message ADD COLUMN spare TEXT"))
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NotMigrated):
        Store(here.store.url).open()
    worker.join(60)
    assert worker.exitcode == 0
    here.judge(launched)


def test_sigterm_lets_what_is_in_hand_land_and_takes_nothing_new(world: Make) -> None:
    """F38"""
    here = world(1_000)
    here.provider.knobs(delay=0.2)
    launched = here.launched()
    worker = here.worker(job="command")
    until = time.monotonic() + 30
    while not here.provider.accepted() and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(worker.pid, signal.SIGTERM)
    requests = len(here.provider.lines())
    worker.join(10)
    assert worker.exitcode == 0
    assert here.tally(launched).total("unknown") == 0
    assert len(here.provider.lines()) <= requests + 8
    assert here.tally(launched).total("queued") > 0
    here.provider.knobs(delay=0)
    here.drain()
    here.judge(launched)


def test_what_is_on_its_way_is_counted_as_such(world: Make) -> None:
    here = world(BATCH)
    launched = here.launched()
    assert reserve_batch(here.store, here.settings, worker="w", now=utc_now())
    with here.store.read() as session:
        assert session.execute(select(col(Batch.state))).scalar_one() == "sending"
    assert here.tally(launched).total("sending") == BATCH
