"""The long-lived follow-up: seconds after an order is on disk its thank-you is at the provider. Prefect gets a nudge.

Run by `python -m passaparola.cli.consumer`.

A Prefect run takes some fifteen seconds to begin, this loop half a second; and it goes on while Prefect is down. Many
orders become one nudge of each kind, so that a thousand a minute are not a thousand runs.
"""

import asyncio
import base64
import json
import logging
import os
import signal
import urllib.error
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

from passaparola.outbox.deliver import Drain
from passaparola.outbox.reconcile import reconcile
from passaparola.settings import FromEnvironment, Settings
from passaparola.store.database import Store, utc_now

RECONCILE_EVERY_SECONDS = 30.0  # seconds between two looks for what dead workers left behind


log = logging.getLogger("passaparola")


class Ticked(Protocol):
    """What a tick did: events by kind, and people by what became of them."""

    @property
    def events(self) -> Counter[str]: ...
    @property
    def moved(self) -> Counter[str]: ...


class Tick(Protocol):
    """The engine's tick, handed in by the door that runs the consumer."""

    def __call__(self, store: Store, settings: Settings, now: datetime, *, actor: str) -> Ticked: ...


class ConsumerSettings(FromEnvironment):
    follow_every: float = 0.5  # seconds between two looks
    nudge_every: float = 20.0  # seconds between two nudges of Prefect


class Consumer:
    def __init__(self, store: Store, settings: Settings, tick: Tick) -> None:
        self.store, self.settings, self.tick, self.every = store, settings, tick, ConsumerSettings()
        self.pending_nudges: Counter[str] = Counter()
        self.nudged_at = 0.0
        self.reconciled_at = 0.0
        self.drain: Drain | None = None
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        while not self.stopping.is_set():
            try:
                await self._run_once()
            except Exception as error:  # the database is away, a disk is full: nothing is lost, and we look again
                log.warning("%s, looking again", type(error).__name__)
                await asyncio.sleep(2)
            try:
                await asyncio.wait_for(self.stopping.wait(), self.every.follow_every)
            except TimeoutError:
                continue

    def stop(self) -> None:
        """Stop: calls under way end, nothing new is taken."""
        self.stopping.set()
        if self.drain:
            self.drain.stop()

    async def _run_once(self) -> None:
        done = await asyncio.to_thread(self.tick, self.store, self.settings, utc_now(), actor="consumer")
        now = asyncio.get_running_loop().time()
        if reconciling := now - self.reconciled_at >= RECONCILE_EVERY_SECONDS:
            self.reconciled_at = now
            await reconcile(self.store, utc_now())
        if done.moved["said"] or reconciling:
            self.drain = Drain(self.store, self.settings)
            await self.drain.run()
        self.pending_nudges += done.events
        if self.pending_nudges and now - self.nudged_at >= self.every.nudge_every:
            kinds, self.pending_nudges, self.nudged_at = self.pending_nudges, Counter(), now
            await asyncio.to_thread(nudge_prefect, kinds)


def nudge_prefect(kinds: Counter[str]) -> bool:
    """Send Prefect one event per kind, with a count and nothing else. Whether it arrives does not matter."""
    api = os.environ.get("PREFECT_API_URL")
    if not api:
        return False
    at = datetime.now(UTC).isoformat()
    body = [
        {
            "id": str(uuid4()),
            "occurred": at,
            "event": f"passaparola.event.{kind}",
            "payload": {"count": count},
            "resource": {"prefect.resource.id": f"passaparola.{kind}", "prefect.resource.name": kind},
        }
        for kind, count in kinds.items()
    ]
    headers = {"Content-Type": "application/json"}
    if password := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {base64.b64encode(password.encode()).decode()}"
    request = urllib.request.Request(f"{api}/events", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False
