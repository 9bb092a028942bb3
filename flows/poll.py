"""Clock: go and look who wrote to us, apply it, and see to what time alone brings about."""

import asyncio

from prefect import flow, get_run_logger

from passaparola import engine
from passaparola.flows._outbox import drain_outbox
from passaparola.flows._run import discreet, opened
from passaparola.operations import polling
from passaparola.store.database import utc_now


@flow(name="system-poll")
async def system_poll() -> None:
    """Every two minutes: mailboxes and networks that do not call us are looked at; response clocks and retention run."""
    own, store = opened()
    with discreet():
        looked = await polling.listen(store, own, utc_now())
        decided = await asyncio.to_thread(engine.decide, store, own, utc_now(), actor="prefect")
        looked.done = await asyncio.to_thread(polling.tend, store, own, utc_now())
    get_run_logger().info("%s; %s", looked, decided)
    await drain_outbox(store, own, patience=5.0)
