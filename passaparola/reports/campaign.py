"""What came of a campaign: the funnel of people and, apart, of machines; variants, holdout, revenue, cost.

Counted over all launches of the campaign that are asked for. A person counts once at each stage of a message.
"""

from sqlalchemy import and_, select
from sqlmodel import Session, col

from passaparola.errors import Unknown
from passaparola.reports.figures import CampaignReport, FunnelCounts
from passaparola.reports.queries import attribute_orders, compare_groups, message_facts
from passaparola.settings import Settings
from passaparola.store.models import Launch
from passaparola.store.states import MessageState


def build_report(session: Session, settings: Settings, campaign: str, launch: int | None = None) -> CampaignReport:
    """Build the report of one launch, or of all launches of a campaign that ever went out. Raises Unknown."""
    never_began = and_(col(Launch.state) == "recalled", col(Launch.started_at).is_(None))
    chosen = select(Launch).where(col(Launch.campaign) == campaign, col(Launch.state) != "prepared")
    chosen = chosen if launch else chosen.where(~never_began)
    launches = list(session.execute(chosen.where(col(Launch.id) == launch) if launch else chosen).scalars())
    if not launches:
        raise Unknown(f"“{campaign}” has not been launched yet.")
    ids = [launch_.id for launch_ in launches if launch_.id is not None]
    report = CampaignReport(campaign, ids, settings.currency)
    steps = {
        (launch_.id, n): step.get("say", "") for launch_ in launches for n, step in enumerate(launch_.content["steps"])
    }
    for row in session.execute(message_facts(ids)):
        if row.state == MessageState.HELD:
            report.held[row.reason or ""] = report.held.get(row.reason or "", 0) + row.messages
        report.media.setdefault(row.medium, FunnelCounts()).add(row)
        if row.variant:
            message = f"{steps.get((row.launch_id, row.step), '')} by {row.medium}"
            report.variants.setdefault(message, {}).setdefault(row.variant, FunnelCounts()).add(row)
    compare_groups(session, settings, launches, report)
    report.last_touch, report.orders = attribute_orders(session, settings, ids)
    prices = settings.message_costs
    report.costs = {m: round(counts.sent * prices[m], 2) for m, counts in report.media.items() if prices.get(m)}
    return report
