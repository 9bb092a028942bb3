"""Clock: find what runs and does not move, mend what is safe, ask for the rest."""

from prefect import flow, get_run_logger

from passaparola import engine
from passaparola.flows._run import hide_details, open_store
from passaparola.operations import watchdog
from passaparola.store.database import utc_now


@flow(name="system-watchdog")
async def system_watchdog() -> None:
    """Look every five minutes which step is stuck, whether that could be mended, and who is needed."""
    settings, store = open_store()
    with hide_details():
        findings = await watchdog.run_watchdog(store, settings, utc_now(), engine.tick)
    for finding in findings:
        if finding.action:
            get_run_logger().warning("%s: %s. %s", finding.step, finding.summary, finding.action)
        else:
            get_run_logger().info("%s: %s. Mended.", finding.step, finding.summary)
    if not findings:
        get_run_logger().info("Everything that is due moves.")
