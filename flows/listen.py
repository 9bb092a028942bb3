"""Clock: go and look who wrote to us, apply it, and see to what time alone brings about."""

import asyncio

from prefect import flow, get_run_logger

import listening
import street
from contacts.store import utc_now
from flows.deliver import drained
from flows.engine import discreet, opened


@flow(name="listen")
async def listen() -> None:
    """Every two minutes: mailboxes and networks that do not call us are looked at; response clocks and retention run."""
    own, store = opened()
    with discreet():
        looked = await listening.listen(store, own, utc_now())
        decided = await asyncio.to_thread(street.decide, store, own, utc_now(), actor="prefect")
        looked.done = await asyncio.to_thread(listening.tend, store, own, utc_now())
    get_run_logger().info("%s; %s", looked, decided)
    await drained(store, own, patience=5.0)
