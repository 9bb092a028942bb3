"""Clock: empty the outbox. The truth is in the store, so a run may die anywhere."""

from prefect import flow

from passaparola.flows._outbox import drain_outbox
from passaparola.flows._run import open_store
from passaparola.journeys import launch
from passaparola.store.database import utc_now


@flow(name="system-deliver")
async def system_deliver() -> None:
    """Send whatever is due. Runs on a clock; any number of workers may do it at once."""
    settings, store = open_store()
    launch.release_approved(store, actor="prefect", now=utc_now())
    await drain_outbox(store, settings)
