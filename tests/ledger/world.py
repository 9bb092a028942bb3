"""A campaign in a world where processes die: workers are real processes, the provider is another, time is an argument."""

import asyncio
import os
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from passaparola import engine, failpoints
from passaparola.channels.sendgrid.sender import SendgridSender
from passaparola.cli.command import CommandContext
from passaparola.cli.deliver import drain_until_stopped
from passaparola.journeys import launch
from passaparola.outbox import ledger
from passaparola.outbox.deliver import Drain
from passaparola.outbox.reconcile import quarantine_of, reconcile
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Attempt, Audit, Batch
from tests.conftest import Provider
from tests.processes import PROCESSES

BATCH = 50


class World:
    def __init__(self, store: Store, settings: Settings, provider: Provider, people: list[str]) -> None:
        self.store, self.settings, self.provider, self.people = store, settings, provider, people

    def launched(self, name: str = "hello") -> int:
        SendgridSender.batch_size = BATCH
        freeze = freezer(self.settings)
        made = launch.prepare(self.store, self.settings, name, freeze, actor="the tests", now=utc_now())
        assert made.id
        launch.approve(self.store, self.settings, made.id, made.hash, freeze, approver="Ada", now=utc_now())
        engine.start_launch(self.store, self.settings, made.id, actor="the tests", now=utc_now())
        return made.id

    def worker(self, failpoint: str = "", passing: int = 1, action: str = "kill", job: str = "drain") -> Any:
        process = PROCESSES.Process(target=work, args=(_environment(), job, failpoint, passing, action))
        process.start()
        return process

    def ends(self, failpoint: str, passing: int = 1, job: str = "drain") -> bool:
        """Whether a worker that was to die at a failpoint died there."""
        process = self.worker(failpoint, passing, job=job)
        process.join(60)
        return process.exitcode == -9

    def settle(self) -> None:
        """What the clocks do, after the quarantine: reconcile, and drain what is left."""
        later = utc_now() + quarantine_of("sendgrid") + timedelta(minutes=15)
        for _ in range(2):  # given up, and looked for a quarantine later
            asyncio.run(reconcile(self.store, later))
            later += quarantine_of("sendgrid")
        self.drain(later)

    def drain(self, now: datetime | None = None) -> Counter[str]:
        return asyncio.run(
            Drain(self.store, self.settings, clock=(lambda: now) if now else utc_now, wait_seconds=5).run()
        )

    def tally(self, launch_id: int) -> ledger.LaunchTally:
        with self.store.read() as session:
            return ledger.tally_launch(session, launch_id)

    def judge(self, launch_id: int, unknown: int = 0, failed: int = 0) -> None:
        """Nobody twice, nobody lost, the doubt no larger than what was injected, every reservation audited."""
        accepted = Counter(self.provider.accepted())
        assert not [who for who, times in accepted.items() if times > 1], "somebody got it twice"
        found = self.tally(launch_id).as_json()
        assert found["audience"] == len(self.people)
        assert found["sent"] + found["held"] + found["failed"] + found["unknown"] == found["audience"], found
        assert found["unknown"] <= unknown, found
        assert found["failed"] == failed, found
        assert found["sent"] <= len(accepted) <= found["sent"] + found["unknown"], found
        with self.store.read() as session:
            attempts = session.execute(select(Attempt)).scalars().all()
            audited = Counter(session.execute(select(Audit.action).where(col(Audit.action) == "reserved")).scalars())
            assert audited["reserved"] == len(attempts)
            assert all(attempt.outcome for attempt in attempts)
            open_ = session.execute(select(Batch.id).where(col(Batch.state).in_(["queued", "sending"]))).all()
            assert not open_


def _environment() -> dict[str, str]:
    """The fork server was started with another one."""
    return {name: value for name, value in os.environ.items() if name.startswith("PASSAPAROLA_")}


def work(environment: dict[str, str], job: str, failpoint: str, passing: int, action: str) -> None:
    """A worker's whole life, in a process of its own."""
    os.environ.update(environment)
    settings = Settings()
    store = Store(settings.database)
    failpoints.arm(failpoint, passing, action)
    if job == "prepare":
        launch.prepare(store, settings, "hello", freezer(settings), actor="the tests", now=utc_now())
    elif job == "release":
        SendgridSender.batch_size = BATCH
        engine.tick(store, settings, actor="the tests", now=utc_now())
    elif job == "command":
        drain_until_stopped(CommandContext(settings, as_json=True), None)
    elif job == "reconcile":
        asyncio.run(reconcile(store, utc_now() + timedelta(hours=1)))
    else:
        # One lane where it is to freeze: a second one could hold SQLite's only write lock for as long.
        asyncio.run(Drain(store, settings, concurrency=1 if action == "freeze" else 2, wait_seconds=5).run())
