"""Trigger: something happened. The visible trace of what the consumer does, and its stand-in where it is not running."""

import asyncio

from prefect import flow, get_run_logger

import street
from contacts.store import utc_now
from flows.deliver import drained
from flows.engine import discreet, opened


@flow(name="follow-up")
async def follow_up() -> None:
    """Follow up what people did: whoever ordered, signed up or answered goes on in their campaigns, once."""
    own, store = opened()
    with discreet():
        decided = await asyncio.to_thread(street.decide, store, own, utc_now(), actor="prefect")
    get_run_logger().info("%s", decided)
    await drained(store, own, patience=5.0)
