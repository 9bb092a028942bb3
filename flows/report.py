"""Button: what became of a campaign."""

from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact

from contacts.store import Store
from flows.choices import CampaignName
from flows.engine import opened
from flows.pictures import funnel
from outbox import ledger


@flow(name="campaign-report")
async def campaign_report(campaign: CampaignName) -> None:  # type: ignore[valid-type]
    """The newest launch of a campaign: a funnel, and a reason for everyone who did not get it.

    Args:
        campaign: Which campaign to report on.
    """
    _, store = opened()
    with store.read() as session:
        newest = ledger.latest(session, campaign.value)  # type: ignore[attr-defined]
    found = await reported(store, newest)
    get_run_logger().info("Launch %s is %s", found["launch"], found["state"])


async def reported(store: Store, launch: int) -> dict[str, Any]:
    """A launch's ledger as an artifact; returns its counts."""
    with store.read() as session:
        found = ledger.tally(session, launch).as_json()
    steps = [(name, found[name]) for name in ("audience", "sent", "held", "failed", "unknown")]
    reasons = "\n".join(
        f"| {reason} | {count:,} |" for reason, count in sorted(found["reasons"].items(), key=lambda pair: -pair[1])
    )
    posts = "\n".join(f"| post on {medium} | {state} |" for medium, state in found["posts"].items())
    key = f"report-{found['campaign'].replace('_', '-')}"
    await acreate_markdown_artifact(
        f"## {found['campaign']}, launch {launch}: {found['state']}\n\n![funnel]({funnel(steps)})\n\n"
        f"| | |\n|---|---:|\n" + "\n".join(f"| {name} | {count:,} |" for name, count in steps) + f"\n{posts}\n\n"
        f"### Why not\n\n| reason | people |\n|---|---:|\n{reasons or '| everyone got it | 0 |'}\n",
        key=key,
        description=f"Report of {found['campaign']}",
    )
    return found
