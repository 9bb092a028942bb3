"""Clock: apply what came in, move on who is due. The truth is in the store, so a run may die anywhere and be late."""

import asyncio

from prefect import flow, get_run_logger

import street
from contacts.store import utc_now
from flows.deliver import drained
from flows.engine import discreet, opened


@flow(name="advance-journeys")
async def advance_journeys() -> None:
    """Once a minute: people whose wait is over go on, scheduled campaigns start, and what that says is sent."""
    own, store = opened()
    with discreet():
        decided = await asyncio.to_thread(street.decide, store, own, utc_now(), actor="prefect")
    get_run_logger().info("%s", decided)
    await drained(store, own, patience=5.0)
