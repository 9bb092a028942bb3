"""Clock: find what runs and does not move, mend what is safe, ask for the rest."""

from prefect import flow, get_run_logger

import watch
from contacts.store import utc_now
from flows.engine import discreet, opened


@flow(name="watchdog")
async def watchdog() -> None:
    """Every five minutes: which step of the street is stuck, whether that could be mended, and who is needed."""
    own, store = opened()
    with discreet():
        findings = await watch.watch(store, own, utc_now())
    for one in findings:
        if one.asks:
            get_run_logger().warning("%s: %s. %s", one.step, one.says, one.asks)
        else:
            get_run_logger().info("%s: %s. Mended.", one.step, one.says)
    if not findings:
        get_run_logger().info("Everything that is due moves.")
