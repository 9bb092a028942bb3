"""Clock: resolve what is unknown, by evidence only."""

from prefect import flow, get_run_logger

from contacts.store import utc_now
from flows.engine import discreet, opened
from outbox import reconcile as outbox


@flow(name="reconcile")
async def reconcile() -> None:
    """Give up on workers that are gone, and ask the channels what became of messages whose answer never came."""
    own, store = opened()
    with discreet():
        found = await outbox.reconcile(store, utc_now())
        silenced = await outbox.suppressions_synced(store, own, utc_now())
    get_run_logger().info(
        "%s batches given up, %s messages proved sent, %s proved not sent, %s still unknown, %s addresses suppressed",
        found.stale, found.accepted, found.absent, found.still_unknown, silenced,
    )  # fmt: skip
