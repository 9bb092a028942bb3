"""Clock: find what runs and does not move, mend what is safe, ask for the rest."""

from prefect import flow, get_run_logger

from passaparola import engine
from passaparola.flows._run import discreet, opened
from passaparola.operations import watchdog
from passaparola.store.database import utc_now


@flow(name="system-watchdog")
async def system_watchdog() -> None:
    """Every five minutes: which step of the street is stuck, whether that could be mended, and who is needed."""
    own, store = opened()
    with discreet():
        findings = await watchdog.watch(store, own, utc_now(), engine.decide)
    for one in findings:
        if one.asks:
            get_run_logger().warning("%s: %s. %s", one.step, one.says, one.asks)
        else:
            get_run_logger().info("%s: %s. Mended.", one.step, one.says)
    if not findings:
        get_run_logger().info("Everything that is due moves.")
