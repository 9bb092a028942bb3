"""Clock: empty the outbox. A task is a thousand messages, never a contact; the truth is in the store, so a run may die anywhere."""

import asyncio
import signal
import threading

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from contacts import troubles
from contacts.store import Store, utc_now
from flows.engine import discreet, opened
from journeys import launch
from outbox.deliver import Drain
from settings import Settings

A_TASK = 1_000  # messages; a task run costs Prefect 130 ms of CPU, more than it costs us to send them


@task(name="deliver-batch", cache_policy=NO_CACHE)
async def deliver_batch(drain: Drain) -> int:
    """One batch, or small ones up to a thousand messages; 0 when nothing is due. Never retried by Prefect: the ledger decides."""
    return await drain.stretch(A_TASK)


async def drained(store: Store, own: Settings, launch_id: int | None = None, patience: float = 120.0) -> None:
    """`patience` is for how many seconds a batch that is due a little later is waited for."""
    with discreet():
        drain = Drain(store, own, launch_id, patience=patience, each=deliver_batch)
        if threading.current_thread() is threading.main_thread():  # a worker's own process: let what is in hand land
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, drain.stop)
        outcomes = await drain.run()
    for outcome, count in outcomes.items():
        get_run_logger().info("%s messages: %s", count, outcome)
    with store.read() as session:
        for trouble in troubles.standing(session):
            get_run_logger().warning(troubles.sentence(trouble, own.time_zone))


@flow(name="deliver-outbox")
async def deliver_outbox() -> None:
    """Send whatever is due. Runs on a clock; any number of workers may do it at once."""
    own, store = opened()
    launch.release_approved(store, actor="prefect", now=utc_now())
    await drained(store, own)
