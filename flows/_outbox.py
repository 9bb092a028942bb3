"""Draining the outbox inside a flow: a Prefect task is a thousand messages, never a contact."""

import asyncio
import signal
import threading

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from passaparola.flows._run import hide_details
from passaparola.outbox.deliver import Drain
from passaparola.settings import Settings
from passaparola.store import incidents
from passaparola.store.database import Store

TASK_MESSAGES = 1_000  # messages; a task run costs Prefect 130 ms of CPU, more than it costs us to send them


@task(name="deliver-batch", cache_policy=NO_CACHE)
async def deliver_batch(drain: Drain) -> int:
    """Deliver one batch, or small ones up to a thousand messages; 0 when nothing is due. Never retried by Prefect:
    the ledger decides."""
    return await drain.send_up_to(TASK_MESSAGES)


async def drain_outbox(
    store: Store, settings: Settings, launch_id: int | None = None, retry_seconds: float = 120.0
) -> None:
    """Send what is due. `retry_seconds`: for how long a batch that is due a little later is waited for."""
    with hide_details():
        drain = Drain(store, settings, launch_id, wait_seconds=retry_seconds, each=deliver_batch)
        if threading.current_thread() is threading.main_thread():  # a worker's own process: let what is in hand land
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, drain.stop)
        outcomes = await drain.run()
    for outcome, count in outcomes.items():
        get_run_logger().info("%s messages: %s", count, outcome)
    with store.read() as session:
        for incident in incidents.open_incidents(session):
            get_run_logger().warning(incidents.describe_incident(incident, settings.time_zone))
