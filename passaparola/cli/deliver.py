"""passaparola deliver: a worker of its own, for a moment or for as long as nobody stops it."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from passaparola.cli.app import app
from passaparola.cli.command import CommandContext, Result, command
from passaparola.cli.output import err, out

if TYPE_CHECKING:
    from passaparola.outbox.deliver import Drain
    from passaparola.outbox.reconcile import ReconcileResult

WATCH_EVERY_SECONDS = 1.0  # seconds between two looks
RETRY_DB_SECONDS = 2.0  # seconds until a database that is away is asked again


@command(app)
def deliver(
    context: CommandContext,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until SIGTERM or Ctrl-C, also while the database is away.")
    ] = False,
) -> Result:
    """Apply what came in, move on who is due, send what is due, resolve what is unknown. Any number may run at once."""
    with stop_signal() as stopping:
        total, reconciled = _run_once(context, stopping, watch)
        while watch and not stopping.wait(WATCH_EVERY_SECONDS):
            total += _run_once(context, stopping, watch)[0]
    words = ", ".join(f"{count:,} {what}" for what, count in total.items()) or "Nothing was due."
    data = {**total, "reconciled": vars(reconciled) if reconciled else {}}
    return Result(data, lambda: out.print(words))


def _run_once(
    context: CommandContext, stopping: threading.Event, watch: bool
) -> "tuple[Counter[str], ReconcileResult | None]":
    """Run one round. While watching, a database that is away is asked again."""
    import asyncio

    from passaparola import engine
    from passaparola.outbox import reconcile
    from passaparola.store.database import is_transient

    try:
        result = asyncio.run(reconcile.reconcile(context.store, context.now))
        engine.tick(context.store, context.settings, context.now, actor=context.actor)
        return drain_until_stopped(context, None, 2.0 if watch else 300.0, stopping), result
    except Exception as error:
        if not watch or not is_transient(error):
            raise
        err.print(f"The database is busy or away ({type(error).__name__}); it is asked again.")
        stopping.wait(RETRY_DB_SECONDS)
        return Counter(), None


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """Set an event on SIGTERM or Ctrl-C; the second one ends the process at once."""
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
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
    context: CommandContext,
    launch: int | None,
    retry_seconds: float = 300.0,
    stopping: threading.Event | None = None,
) -> Counter[str]:
    """Send until the outbox is empty. SIGTERM and Ctrl-C let what is in hand land and take nothing new."""
    import asyncio

    from passaparola.outbox.deliver import Drain, run_on_uvloop

    def report(outcome: str, size: int) -> None:
        if not context.as_json:
            err.print(f"{size:,} {outcome}")

    async def run(event: threading.Event) -> Counter[str]:
        drain = Drain(context.store, context.settings, launch, wait_seconds=retry_seconds)
        watching = asyncio.create_task(_stop_when(event, drain))
        try:
            return await drain.run(report)
        finally:
            watching.cancel()

    if stopping is not None:
        return run_on_uvloop(run(stopping))
    with stop_signal() as own_stopping:
        return run_on_uvloop(run(own_stopping))


async def _stop_when(event: threading.Event, drain: "Drain") -> None:
    import asyncio

    while not event.is_set():
        await asyncio.sleep(0.1)
    drain.stop()
