"""Clock: find what runs and does not move, mend what is safe, ask for the rest."""

from prefect import flow, get_run_logger

from passaparola import engine
from passaparola.flows._run import hide_details, open_store
from passaparola.operations import watchdog
from passaparola.store.database import utc_now


@flow(name="system-watchdog")
async def system_watchdog() -> None:
    """Every five minutes: which step of the street is stuck, whether that could be mended, and who is needed."""
    own, store = open_store()
    with hide_details():
        findings = await watchdog.run_watchdog(store, own, utc_now(), engine.tick)
    for one in findings:
        if one.action:
            get_run_logger().warning("%s: %s. %s", one.step, one.summary, one.action)
        else:
            get_run_logger().info("%s: %s. Mended.", one.step, one.summary)
    if not findings:
        get_run_logger().info("Everything that is due moves.")
