"""Trigger: something happened. The visible trace of what the consumer does, and its stand-in where it is not
running."""

import asyncio

from prefect import flow, get_run_logger

from passaparola import engine
from passaparola.flows._outbox import drain_outbox
from passaparola.flows._run import hide_details, open_store
from passaparola.store.database import utc_now


@flow(name="system-follow-up")
async def system_follow_up() -> None:
    """Follow up what people did: whoever ordered, signed up or answered goes on in their campaigns, once."""
    settings, store = open_store()
    with hide_details():
        decided = await asyncio.to_thread(engine.tick, store, settings, utc_now(), actor="prefect")
    get_run_logger().info("%s", decided)
    await drain_outbox(store, settings, retry_seconds=5.0)
