"""passaparola deliver: a worker of its own, for a moment or for as long as nobody stops it."""

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from passaparola.cli.output import AsJson, actor, emit, err, now, open_store, out

WATCH_EVERY_SECONDS = 1.0  # seconds between two looks
RETRY_DB_SECONDS = 2.0  # seconds until a database that is away is asked again


def deliver(
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until SIGTERM or Ctrl-C, also while the database is away.")
    ] = False,
) -> None:
    """Apply what came in, move on who is due, send what is due, resolve what is unknown. Any number may run at once."""
    settings, store = open_store()
    with stop_signal() as stopping:
        total, tally = _run_once(settings, store, stopping, as_json, watch)
        while watch and not stopping.wait(WATCH_EVERY_SECONDS):
            total += _run_once(settings, store, stopping, as_json, watch)[0]
    data = {**total, "reconciled": vars(tally) if tally else {}}
    emit(
        as_json, data, lambda: out.print(", ".join(f"{n:,} {what}" for what, n in total.items()) or "Nothing was due.")
    )


def _run_once(
    settings: Any, store: Any, stopping: threading.Event, quiet: bool, watch: bool
) -> tuple[Counter[str], Any]:
    """Run one round. One look at everything. For who watches, a database that is away is no reason to end."""
    from passaparola import engine
    from passaparola.outbox import reconcile
    from passaparola.store.database import is_transient

    try:
        result = asyncio.run(reconcile.reconcile(store, now()))
        engine.tick(store, settings, now(), actor=actor())
        return drain_until_stopped(settings, store, None, quiet, 2.0 if watch else 300.0, stopping), result
    except Exception as error:
        if not watch or not is_transient(error):
            raise
        err.print(f"The database is busy or away ({type(error).__name__}); it is asked again.")
        stopping.wait(RETRY_DB_SECONDS)
        return Counter(), None


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """Set by SIGTERM or Ctrl-C, whenever that comes; whoever comes a second time ends the process at once."""
    stopping = threading.Event()

    def stop(number: int, frame: Any) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def drain_until_stopped(
    settings: Any,
    store: Any,
    launch: int | None,
    quiet: bool,
    retry_seconds: float = 300.0,
    stopping: threading.Event | None = None,
) -> Counter[str]:
    """Send until the outbox is empty. SIGTERM and Ctrl-C let what is in hand land and take nothing new."""
    from passaparola.outbox.deliver import Drain, run_on_uvloop

    async def run(event: threading.Event) -> Counter[str]:
        drain = Drain(store, settings, launch, wait_seconds=retry_seconds)
        watching = asyncio.create_task(_stop_when(event, drain))
        try:
            return await drain.run(lambda outcome, size: None if quiet else err.print(f"{size:,} {outcome}"))
        finally:
            watching.cancel()

    if stopping is not None:
        return run_on_uvloop(run(stopping))
    with stop_signal() as own_stopping:
        return run_on_uvloop(run(own_stopping))


async def _stop_when(event: threading.Event, drain: Any) -> None:
    while not event.is_set():
        await asyncio.sleep(0.1)
    drain.stop()
