"""Button: see a campaign before anyone is written to."""

from prefect import flow, get_run_logger

from passaparola.flows._artifacts import show_preview
from passaparola.flows._choices import CampaignName


@flow(name="campaign-preview")
async def campaign_preview(campaign: CampaignName) -> None:
    """See what a campaign says, who would get it, who would not and why, and what it costs. Nothing is sent.

    Args:
        campaign: Which campaign to look at. New ones appear here after `passaparola up`.
    """
    seen = await show_preview(campaign.value)
    get_run_logger().info("%s people in the audience, %s would get it", seen.enrolled, seen.sendable)
