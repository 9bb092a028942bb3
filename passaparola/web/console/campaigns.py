"""What came of each campaign: the funnel of people, the machines beside it, variants, those held out, money."""

from dataclasses import asdict

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import func, select
from sqlmodel import Session, col

from passaparola.channel import registry
from passaparola.outbox import ledger
from passaparola.reports import campaign as report
from passaparola.reports import figures
from passaparola.settings import get_settings
from passaparola.store.models import Enrolment, Launch
from passaparola.web.console.auth import Member, render_page, require_role
from passaparola.web.link_context import store

router = APIRouter()


@router.get("/campaigns")
def campaigns(request: Request, member: Member = Depends(require_role("reader"))) -> Response:
    with store().read() as session:
        people = select(func.count()).where(
            col(Enrolment.launch_id) == col(Launch.id), col(Enrolment.contact_id).is_not(None)
        )
        chosen = (
            select(Launch, people.scalar_subquery())
            .where(~col(Launch.campaign).startswith("_", autoescape=True))
            .order_by(col(Launch.id).desc())
            .limit(200)
        )
        rows = session.execute(chosen).all()
        return render_page(request, "campaigns.html", member, rows=rows)


@router.get("/campaigns/{name}")
def campaign(
    request: Request, name: str, launch: int | None = None, member: Member = Depends(require_role("reader"))
) -> Response:
    with store().read() as session:
        built = report.build_report(session, get_settings(), name, launch)
        tallies = [ledger.tally_launch(session, id_) for id_ in built.launches[-5:]]
        return render_page(
            request,
            "campaign.html",
            member,
            found=built,
            tallies=tallies,
            funnels=_funnel_rows(built),
            runs=_prefect_runs(session, built.launches),
            prefect=get_settings().prefect_ui_url,
            asked=launch,
        )


@router.get("/campaigns/{name}/json")
def as_json(name: str, launch: int | None = None, member: Member = Depends(require_role("reader"))) -> Response:
    with store().read() as session:
        return JSONResponse(report.build_report(session, get_settings(), name, launch).as_json())


def _funnel_rows(report: figures.CampaignReport) -> dict[str, list[tuple[str, int, int, str]]]:
    """List the funnel by medium: (stage, people, machines, how sure)."""
    rates, drawn = report.rates(), {}
    for medium, counts in report.media.items():
        if medium in registry.sender_names() and registry.sender_class(medium).public:
            continue  # a post has no funnel of people; it has a row of its own
        values, steps = asdict(counts), [("planned", counts.planned, 0, ""), ("sent", counts.sent, 0, "")]
        for name in figures.STAGES:
            rate = rates[medium].get(name)
            sure = f"{rate.value:.1%} ({rate.low:.1%}–{rate.high:.1%})" if rate and values[name] else ""
            if name == "delivered" and counts.left and not counts.reports_delivery:
                sure = "unknown: nobody tells of it here"
            steps.append((name, values[name], values.get(f"machine_{name}", 0), sure))
        drawn[medium] = steps
    return drawn


def _prefect_runs(session: Session, launches: list[int]) -> dict[int, str]:
    """Return the Prefect run that a launch was started from, if any."""
    rows = session.execute(select(col(Launch.id), col(Launch.occurrence)).where(col(Launch.id).in_(launches)))
    return {
        id_: occurrence.removeprefix("prefect:")
        for id_, occurrence in rows
        if id_ and occurrence and occurrence.startswith("prefect:")
    }
