"""Clock: resolve what is unknown, by evidence only."""

from prefect import flow, get_run_logger

from passaparola.flows._run import hide_details, open_store
from passaparola.outbox import reconcile as outbox
from passaparola.store.database import utc_now


@flow(name="system-reconcile")
async def system_reconcile() -> None:
    """Give up on workers that are gone, and ask the channels what became of messages whose answer never came."""
    settings, store = open_store()
    with hide_details():
        result = await outbox.reconcile(store, utc_now())
        silenced = await outbox.sync_suppressions(store, settings, utc_now())
    get_run_logger().info(
        "%s batches given up, %s messages proved sent, %s proved not sent, %s still unknown, %s addresses suppressed",
        result.stale,
        result.accepted,
        result.absent,
        result.still_unknown,
        silenced,
    )
