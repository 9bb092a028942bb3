"""Clock: apply what came in, move on who is due. The truth is in the store, so a run may die anywhere and be late."""

import asyncio

from prefect import flow, get_run_logger

from passaparola import engine
from passaparola.flows._outbox import drain_outbox
from passaparola.flows._run import hide_details, open_store
from passaparola.store.database import utc_now


@flow(name="system-advance")
async def system_advance() -> None:
    """Move people on once a minute: whose wait is over goes on, scheduled campaigns start, and what that says is
    sent."""
    settings, store = open_store()
    with hide_details():
        decided = await asyncio.to_thread(engine.tick, store, settings, utc_now(), actor="prefect")
    get_run_logger().info("%s", decided)
    await drain_outbox(store, settings, retry_seconds=5.0)
