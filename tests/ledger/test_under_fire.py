"""The ledger under fire: whatever dies, answers late or lies, nobody gets it twice and nobody gets lost."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from passaparola import engine, failpoints
from passaparola.channel.sender import SendResult
from passaparola.journeys import launch
from passaparola.outbox import ledger
from passaparola.outbox.claim import reserve_batch
from passaparola.outbox.record import record_outcome
from passaparola.outbox.render.frozen import freezer
from passaparola.store import incidents
from passaparola.store.database import utc_now
from passaparola.store.models import Attempt, Launch
from tests.ledger.world import BATCH, World

Make = Callable[..., World]
ON_THE_WAY = [name for name in failpoints.NAMES if name not in ("frozen", "released", "advanced", "reconciled")]
DOUBTFUL = {"reserved", "half_written", "accepted", "answered", "recorded"}


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_a_worker_killed_anywhere_doubles_and_loses_nobody(world: Make, name: str) -> None:
    here = world(150)
    launched = here.launched()
    assert here.ends(name, passing=2), f"{name} was not passed"
    here.settle()
    here.judge(launched, unknown=2 * BATCH if name in DOUBTFUL else BATCH)


def test_a_launch_killed_before_it_was_written_was_never_made(world: Make) -> None:
    here = world(20)
    assert here.ends("frozen", job="prepare")
    with here.store.read() as session:
        assert session.execute(select(Launch)).first() is None


@pytest.mark.parametrize("failpoint", ["released", "advanced"])
def test_a_start_killed_half_way_is_done_by_the_next_worker(world: Make, failpoint: str) -> None:
    here = world(120)
    freeze = freezer(here.settings)
    made = launch.prepare(here.store, here.settings, "hello", freeze, actor="the tests", now=utc_now())
    assert made.id
    launch.approve(here.store, here.settings, made.id, made.hash, freeze, approver="Ada", now=utc_now())
    assert here.ends(failpoint, job="release")
    engine.tick(here.store, here.settings, actor="the tests", now=utc_now())
    here.drain()
    here.judge(made.id)


def test_a_reconciliation_killed_half_way_is_done_by_the_next_one(world: Make) -> None:
    here = world(100)
    here.provider.knobs(drop=[1], activity=True)
    launched = here.launched()
    here.drain()
    assert here.ends("reconciled", job="reconcile")
    here.settle()
    here.judge(launched, unknown=0)


def test_every_failpoint_is_passed_by_one_of_these_tests() -> None:
    here = Path(__file__).read_text()
    assert all(name in ON_THE_WAY or f'"{name}"' in here for name in failpoints.NAMES)


def test_two_workers_on_one_batch_send_it_once(world: Make) -> None:
    here = world(BATCH)
    launched = here.launched()
    workers = [here.worker() for _ in range(2)]
    for worker in workers:
        worker.join(60)
    here.judge(launched)
    assert len(here.provider.lines()) == 1


def test_a_frozen_worker_that_wakes_up_late_sends_nothing_twice(world: Make) -> None:
    here = world(BATCH)
    launched = here.launched()
    frozen = here.worker("reserved", action="freeze")
    _until_stopped(frozen.pid)
    here.settle()
    assert here.tally(launched).total("unknown") == BATCH
    os.kill(frozen.pid, signal.SIGCONT)
    frozen.join(60)
    here.judge(launched, unknown=BATCH)


def _until_stopped(pid: int) -> None:
    for _ in range(600):
        with open(f"/proc/{pid}/stat") as stat:
            if stat.read().rpartition(")")[2].split()[0] == "T":
                return
        time.sleep(0.05)
    raise AssertionError("the worker never reached its failpoint")


@pytest.mark.parametrize(
    "knobs", [{"drop": [2]}, {"after": {2: 500}}, {"after": {2: 503}}, {"before": {2: 502}}, {"half": [2]}]
)
def test_a_lost_or_broken_answer_is_unknown_and_never_tried_again(world: Make, knobs: dict[str, object]) -> None:
    here = world(150)
    here.provider.knobs(**knobs)
    launched = here.launched()
    here.drain()
    here.settle()
    here.judge(launched, unknown=BATCH)
    assert here.tally(launched).total("unknown") == BATCH


def test_the_activity_feed_proves_that_a_lost_answer_was_a_yes(world: Make) -> None:
    here = world(150)
    here.provider.knobs(drop=[2], activity=True)
    launched = here.launched()
    here.drain()
    assert here.tally(launched).total("unknown") == BATCH
    here.settle()
    here.judge(launched, unknown=0)


def test_a_provider_that_asks_to_slow_down_is_obeyed_and_everyone_gets_it(world: Make) -> None:
    here = world(100)
    here.provider.knobs(limit={1: 2, 2: 2})
    launched = here.launched()
    here.drain()
    here.judge(launched)


def test_one_bad_address_in_a_thousand_fails_alone(world: Make) -> None:
    here = world(300, bad=133)
    launched = here.launched()
    here.drain()
    here.judge(launched, failed=1)


def test_a_provider_that_is_not_there_is_waited_for(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    here = world(60)
    launched = here.launched()
    right = here.provider.url
    monkeypatch.setenv("PASSAPAROLA_SENDGRID_API_URL", "http://127.0.0.1:9")
    assert here.drain()["unavailable"] >= 60
    monkeypatch.setenv("PASSAPAROLA_SENDGRID_API_URL", right)
    here.settle()
    here.judge(launched)


def test_a_wrong_key_pauses_the_channel_and_a_right_one_goes_on(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    here = world(60)
    launched = here.launched()
    monkeypatch.setenv("PASSAPAROLA_SENDGRID_API_KEY", "SG.wrong")
    here.drain()
    assert here.tally(launched).state == "running"
    assert "API key" in here.tally(launched).paused["email"]
    here.drain()
    assert here.tally(launched).total("queued") == 60
    monkeypatch.setenv("PASSAPAROLA_SENDGRID_API_KEY", "SG.right")
    with here.store.write() as session:
        incidents.resume_channel(session, "sendgrid", actor="Ada", now=utc_now())
    here.drain()
    here.judge(launched)


def test_a_storm_of_pauses_and_resumes_doubles_nobody_and_a_recall_stops_the_rest(world: Make) -> None:
    here = world(1_000)
    here.provider.knobs(delay=0.05)
    launched = here.launched()
    worker = here.worker()
    for _ in range(5):
        time.sleep(0.05)
        ledger.pause_launch(here.store, launched, actor="Ada", now=utc_now())
        ledger.resume_launch(here.store, launched, actor="Ada", now=utc_now())
    ledger.recall_launch(here.store, launched, actor="Ada", now=utc_now())
    worker.join(60)
    here.settle()
    here.judge(launched)
    assert here.tally(launched).total("held") > 0


def test_an_outcome_whose_commit_went_unanswered_is_recorded_once(world: Make) -> None:
    here = world(BATCH)
    here.launched()
    held = reserve_batch(here.store, here.settings, worker="w", now=utc_now())
    assert held
    for _ in range(2):  # the first commit held, its answer was lost, and it is tried again
        assert record_outcome(here.store, held, SendResult(receipt="r"), utc_now()) == "accepted"
    with here.store.read() as session:
        assert session.execute(select(Attempt.outcome)).scalars().all() == ["accepted"]
