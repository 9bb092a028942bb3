"""Clock: go and look who wrote to us, apply it, and see to what time alone brings about."""

import asyncio

from prefect import flow, get_run_logger

from passaparola import engine
from passaparola.flows._outbox import drain_outbox
from passaparola.flows._run import hide_details, open_store
from passaparola.operations import polling
from passaparola.store.database import utc_now


@flow(name="system-poll")
async def system_poll() -> None:
    """Poll every two minutes the mailboxes and networks that do not call us; response clocks and retention run."""
    settings, store = open_store()
    with hide_details():
        result = await polling.poll_channels(store, settings, utc_now())
        decided = await asyncio.to_thread(engine.tick, store, settings, utc_now(), actor="prefect")
        result.done = await asyncio.to_thread(polling.run_maintenance, store, settings, utc_now())
    get_run_logger().info("%s; %s", result, decided)
    await drain_outbox(store, settings, retry_seconds=5.0)
