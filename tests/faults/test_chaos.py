"""Everything at once, at random: `make chaos SEEDS=20 SECONDS=60 FIRST=1` prints what it did to whom, and what held.

A seed decides which faults come and when; the processes they meet are real, so that a seed is a direction and no recording.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from passaparola.contacts import consent
from passaparola.errors import NotAllowed
from passaparola.outbox import ledger
from passaparola.store.database import utc_now
from passaparola.store.models import Address
from tests.faults.outages import away
from tests.ledger.world import BATCH, World

SECONDS, SEEDS, FIRST = (
    int(os.environ.get(f"PASSAPAROLA_CHAOS_{name}", default))
    for name, default in (("SECONDS", "5"), ("SEEDS", "1"), ("FIRST", "1"))
)
KNOBS: list[dict[str, Any]] = [
    {"delay": 0.02}, {"delay": 0.02, "drop": [2, 5]}, {"delay": 0.02, "before": {1: 503, 4: 500}}, {"after": {2: 502}},
    {"delay": 0.02, "limit": {2: 1}}, {"half": [3], "delay": 0.02}, {"delay": 0.3},
]  # fmt: skip
DOUBTFUL = ("drop", "before", "after", "half")


class Chaos:
    """One campaign, two workers that are never left alone, and what was done to them."""

    def __init__(self, here: World, seed: int) -> None:
        self.here, self.dice, self.done = here, random.Random(seed), Counter[str]()
        self.launched = here.launched()
        self.workers = [here.worker(), here.worker()]
        self.doubtful = 0  # requests that may end in doubt
        with here.store.read() as session:
            self.people = list(session.execute(select(col(Address.contact_id))).scalars())

    def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        faults = [
            self.kills,
            self.kills,
            self.freezes,
            self.provider,
            self.provider,
            self.database,
            self.commands,
            self.says_no,
        ]
        while time.monotonic() < until:
            fault = self.dice.choice(faults)
            fault()
            self.done[fault.__name__] += 1
            time.sleep(self.dice.uniform(0.02, 0.2))
            for place, worker in enumerate(self.workers):
                if not worker.is_alive():
                    worker.join()
                    self.workers[place] = self.here.worker()
        self.here.provider.knobs()
        for worker in self.workers:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGCONT)
            worker.join(60)
            if worker.is_alive():
                worker.kill()
                worker.join()
                self.doubtful += 2

    def kills(self) -> None:
        worker = self.dice.choice(self.workers)
        if worker.is_alive():
            worker.kill()
            worker.join()
            self.doubtful += 2  # as many lanes

    def freezes(self) -> None:
        worker = self.dice.choice(self.workers)
        if not worker.is_alive():
            return
        with suppress(ProcessLookupError):  # it may come to its own end meanwhile
            os.kill(worker.pid, signal.SIGSTOP)
            time.sleep(self.dice.uniform(0.05, 0.3))
            os.kill(worker.pid, signal.SIGCONT)

    def provider(self) -> None:
        knobs = self.dice.choice(KNOBS)
        self.here.provider.knobs(**knobs)
        self.doubtful += sum(len(knobs.get(name, ())) for name in DOUBTFUL)

    def database(self) -> None:
        with away(self.here.store):
            time.sleep(self.dice.uniform(0.05, 0.4))

    def commands(self) -> None:
        for command in (ledger.pause_launch, ledger.resume_launch):
            with suppress(NotAllowed):
                command(self.here.store, self.launched, actor="Ada", now=utc_now())

    def says_no(self) -> None:
        with self.here.store.write() as session:
            consent.record(
                session, self.dice.choice(self.people), "email", "newsletter", False, at=utc_now(), source="t", proof={}
            )


@pytest.mark.timeout(SECONDS * 4 + 240)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_whatever_happens_at_once_nobody_gets_it_twice_and_nobody_gets_lost(
    world: Callable[..., World], seed: int, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    here = world(600 * max(SECONDS // 5, 1))
    chaos = Chaos(here, seed)
    chaos.run(SECONDS)
    for _ in range(2):
        here.settle()
    here.judge(chaos.launched, unknown=chaos.doubtful * BATCH)
    if os.environ.get("PASSAPAROLA_CHAOS_SEEDS"):
        found = here.tally(chaos.launched).as_json()
        with capsys.disabled():
            injected = ", ".join(f"{count} × {name}" for name, count in sorted(chaos.done.items()))
            ends = ", ".join(f"{found[state]:,} {state}" for state in ("sent", "held", "failed", "unknown"))
            print(
                f"\nseed {seed} on {request.node.callspec.params['database']}: {injected}\n  {found['audience']:,} people: {ends}; 0 twice, 0 lost, every attempt audited"
            )
