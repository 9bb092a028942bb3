"""Button: see what became of a campaign."""

from prefect import flow, get_run_logger

from passaparola.flows._artifacts import show_report
from passaparola.flows._choices import CampaignName
from passaparola.flows._run import open_store
from passaparola.outbox import ledger


@flow(name="campaign-report")
async def campaign_report(campaign: CampaignName) -> None:
    """Report on the newest launch of a campaign: a funnel, and a reason for everyone who did not get it.

    Args:
        campaign: Which campaign to report on.
    """
    settings, store = open_store()
    with store.read() as session:
        newest = ledger.latest_launch(session, campaign.value)
    report = await show_report(store, newest, settings)
    get_run_logger().info("Launch %s is %s", report["launch"], report["state"])
