"""Button: what became of a campaign."""

from datetime import datetime
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact

from channels import look
from contacts import clock
from contacts.report import campaign as report
from contacts.store import Store
from flows.choices import CampaignName
from flows.engine import opened
from flows.pictures import funnel
from outbox import ledger
from settings import Settings


@flow(name="campaign-report")
async def campaign_report(campaign: CampaignName) -> None:  # type: ignore[valid-type]
    """The newest launch of a campaign: a funnel, and a reason for everyone who did not get it.

    Args:
        campaign: Which campaign to report on.
    """
    own, store = opened()
    with store.read() as session:
        newest = ledger.latest(session, campaign.value)  # type: ignore[attr-defined]
    found = await reported(store, newest, own)
    get_run_logger().info("Launch %s is %s", found["launch"], found["state"])


async def reported(store: Store, launch: int, own: Settings) -> dict[str, Any]:
    """A launch's ledger as an artifact; returns its counts."""
    with store.read() as session:
        found = ledger.tally(session, launch).as_json()
        came = report.report(session, own, found["campaign"], launch)
    steps = [(name, found[name]) for name in ("audience", "sent", "held", "failed", "unknown")]
    reasons = "\n".join(
        f"| {reason} | {count:,} |" for reason, count in sorted(found["reasons"].items(), key=lambda pair: -pair[1])
    )
    posts = "\n".join(
        f"| post on {look(post['medium']).title} | {post['state']} {post['reason']} {post['url']} |"
        for post in found["posts"]
    )
    key = f"report-{found['campaign'].replace('_', '-')}"
    await acreate_markdown_artifact(
        f"## {found['campaign']}, launch {launch}: {found['state']}\n\n![funnel]({funnel(steps)})\n\n"
        f"| | |\n|---|---:|\n" + "\n".join(f"| {name} | {count:,} |" for name, count in steps) + f"\n{posts}\n\n"
        f"### Why not\n\n| reason | people |\n|---|---:|\n{reasons or f'| {_no_reason(found, own)} | |'}\n"
        f"{_outcome(came)}\n[Everything about it in the console]({own.public_url}/console/campaigns/{found['campaign']})\n",
        key=key,
        description=f"Report of {found['campaign']}",
    )
    return found


def _no_reason(found: dict[str, Any], own: Settings) -> str:
    """Why no reason stands there: all of it went out, or nothing has begun."""
    if found["begins"]:
        return f"nothing has gone out yet: it is due on {clock.in_full(datetime.fromisoformat(found['begins']), own.time_zone)}"
    return "everyone got it" if found["sent"] and not found["waiting"] else "nothing speaks against it so far"


def _outcome(came: report.Report) -> str:
    """What came back, in counts; nobody's name."""
    rows = [
        f"| {medium} | {counts.delivered if counts.delivery_is_told else 'unknown'} | {counts.opened:,} | {counts.clicked:,} | {counts.answered:,} | {counts.bounced:,} | "
        f"{counts.machine_opened + counts.machine_clicked:,} |"
        for medium, counts in came.media.items()
    ]
    lift = (
        f"\nLift over those held out: {came.lift.value:+.1%}, between {came.lift.low:+.1%} and {came.lift.high:+.1%}.\n"
        if came.lift
        else ""
    )
    money = (
        f"\nOrders after a click: {came.orders:,}, worth {came.last_touch / 100:,.2f} {came.currency}.\n"
        if came.orders
        else ""
    )
    return (
        "\n### What came of it\n\n| by | delivered | opened | clicked | answered | bounced | machines |\n|---|---:|---:|---:|---:|---:|---:|\n"
        + "\n".join(rows)
        + f"\n{lift}{money}"
    )
