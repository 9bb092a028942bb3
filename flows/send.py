"""Button: send a campaign. See it, approve it, and watch it go."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from prefect import flow, get_run_logger
from prefect.flow_runs import asuspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import BaseModel, BeforeValidator, Field
from pydantic.config import JsonDict

from passaparola import clock, engine
from passaparola.errors import NotAllowed
from passaparola.flows._artifacts import preview_table, show_preview, show_report
from passaparola.flows._choices import CampaignName
from passaparola.flows._outbox import drain_outbox
from passaparola.flows._run import house_now, open_store
from passaparola.journeys import launch
from passaparola.outbox.preview import Preview
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings, get_settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Launch

APPROVAL_WAITS = timedelta(days=3)


def _place(position: int) -> JsonDict:
    """Give a field its place in the form: without it, PostgreSQL's order of JSON keys decides, shortest name first."""
    return {"position": position}


def _as_words(value: object) -> Any:
    """Return a time as words: a program may send an instant where the form has words."""
    return value.isoformat() if isinstance(value, datetime) else value


class Sending(BaseModel):
    """What to send, when, and whether for real."""

    campaign: CampaignName = Field(
        title="Campaign",
        description="One of the files in campaigns/; its audience is shown before anything leaves.",
        json_schema_extra=_place(0),
    )
    dry_run: bool = Field(
        True,
        title="Dry run",
        description="On: show everything and stop. Off: ask for approval, then send.",
        json_schema_extra=_place(1),
    )
    when: Literal["as soon as it is approved", "at the time below"] = Field(
        "as soon as it is approved",
        title="When",
        description="Quiet hours and a campaign's own limits still count.",
        json_schema_extra=_place(2),
    )
    # Words, and no picker: a picker opens on UTC, and a date in the form would be the one of the day it was deployed.
    at: Annotated[str, BeforeValidator(_as_words)] = Field(
        "tomorrow 09:00",
        title="Time",
        description=f"Only for “at the time below”, on the clock of {get_settings().time_zone}: tomorrow 09:00, "
        "Saturday 10:00, 2026-11-28 09:00.",
        max_length=60,
        json_schema_extra=_place(3),
    )
    comment: str = Field(
        "",
        title="Note",
        description="For whoever approves: why now, what to look at.",
        max_length=500,
        json_schema_extra=_place(4),
    )


class Approval(RunInput):
    """The decision on a launch, without a default, so that nobody approves by accident."""

    decision: Literal["approve", "reject"] = Field(title="Decision")
    approver: str = Field(title="Your name", description="Kept with the approval.", min_length=2, max_length=100)
    comment: str = Field("", title="Comment", max_length=500)


@flow(name="campaign-send")
async def campaign_send(send: Sending) -> None:
    """Send a campaign: see the preview and who gets it, approve, and it goes out. Nothing leaves on a dry run.

    Args:
        send: Pick the campaign; leave “Dry run” on to look first.
    """
    log, (settings, store) = get_run_logger(), open_store()
    name = send.campaign.value
    due = _parse_due(send, utc_now(), settings.time_zone)
    seen = await show_preview(name)
    log.info("%s in the audience, %s would get it", seen.enrolled, seen.sendable)
    if send.dry_run:
        log.info("Dry run: nothing was sent. Turn it off to ask for approval.")
        return
    prepared = await asyncio.to_thread(_prepare, store, settings, name, due)
    assert prepared.id is not None
    if prepared.state == "prepared" and not await _ask_approval(store, settings, prepared, seen, send):
        log.info("Launch %s was rejected; nothing was sent.", prepared.id)
        return
    await asyncio.to_thread(engine.tick, store, settings, utc_now(), actor="prefect", only=prepared.id)
    await drain_outbox(store, settings, prepared.id)
    report = await show_report(store, prepared.id, settings)
    if prepared.accepting:
        log.info(
            "Launch %s stands: it takes people in from now on. Stop it with `passaparola campaign stop`.", prepared.id
        )
        return
    log.info(
        "Launch %s: %s sent, %s held, %s failed, %s unknown",
        *(report[key] for key in ("launch", "sent", "held", "failed", "unknown")),
    )


def _prepare(store: Store, settings: Settings, name: str, due: datetime | None) -> Launch:
    """Freeze the launch of this very run; a run that is started again gets the same one."""
    return launch.prepare(
        store,
        settings,
        name,
        freezer(settings),
        actor="prefect",
        now=house_now(settings),
        due_at=due,
        occurrence=f"prefect:{flow_run.get_id()}",
    )


async def _ask_approval(store: Store, settings: Settings, prepared: Launch, seen: Preview, send: Sending) -> bool:
    """Suspend the run until somebody decides. Return whether it was approved. Raises NotAllowed: it was changed."""
    id_ = prepared.id or 0
    if prepared.wording != seen.wording:
        launch.reject(store, id_, approver="prefect", now=utc_now(), comment="changed while it was shown")
        raise NotAllowed(f"“{seen.campaign}” was changed after it was shown, so nothing was sent. Run it again.")
    approval = await asuspend_flow_run(
        wait_for_input=Approval.with_initial_data(description=_describe_approval(prepared, seen, send, settings)),
        timeout=int(APPROVAL_WAITS.total_seconds()),
        key="approval",
    )
    assert approval is not None
    given: dict[str, Any] = {"approver": approval.approver, "now": utc_now(), "comment": approval.comment}
    if approval.decision == "reject":
        launch.reject(store, id_, **given)
        return False
    launch.approve(store, settings, id_, prepared.hash, freezer(settings), **given)
    return True


def _parse_due(send: Sending, now: datetime, zone: str) -> datetime | None:
    """Read the time of the form. Raises NotAllowed: that is no time."""
    if send.when != "at the time below":
        return None
    try:
        return clock.parse_local(send.at, now, zone)
    except ValueError as error:
        raise NotAllowed(f"Time: {error}.") from None


def _describe_approval(prepared: Launch, seen: Preview, send: Sending, settings: Settings) -> str:
    at = f"on {clock.format_in_full(prepared.due_at, settings.time_zone)}, or when you approve, if that is later"
    when = at if send.when == "at the time below" else "as soon as you approve"
    page = f"{settings.public_url}/preview/{seen.campaign}"
    links = "\n".join(
        f"- [{sample.medium}, {sample.locale}]({page}/{sample.message}/{sample.medium}/{sample.locale})"
        for sample in seen.samples
    )
    note = f"\n> {send.comment}\n" if send.comment else ""
    return (
        f"## Send “{seen.title}”?\n\nLaunch {prepared.id}, {when}.\n{note}\n{preview_table(seen)}\n\n"
        f"The audience asks: `{' '.join(seen.who.split())}`\n\n{links}\n\n"
        f"You approve exactly what has the hash `{prepared.hash[:16]}`. Any change to its files voids it."
    )
