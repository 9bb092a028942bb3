"""Campaigns on the command line: look, rehearse, send, stop, move."""

import sys
from typing import Annotated

import typer

from passaparola.cli.campaign_views import show_move, show_rehearsal, show_report, show_statuses
from passaparola.cli.command import CommandContext, Result, command
from passaparola.cli.deliver import drain_until_stopped
from passaparola.cli.output import err, group, out
from passaparola.errors import NotAllowed, Unknown

ACTIVE_STATES = ("approved", "running", "paused")

LaunchName = Annotated[str, typer.Argument(help="A campaign (its newest launch) or a launch's number.")]

campaigns = group("Preview, rehearse, send and stop campaigns.")


@command(campaigns, "list")
def campaign_list() -> Result:
    """List the files of campaigns/."""
    from passaparola.journeys import campaign
    from passaparola.settings import get_settings

    home = get_settings().home
    names = campaign.campaign_names(home)
    return Result.of_rows([{"name": name, "title": campaign.read_campaign(home, name).title} for name in names])


@command(campaigns, "preview")
def campaign_preview(context: CommandContext, name: str) -> Result:
    """Show who would get a campaign, who would not and why, what it says, and what it costs. Sends and keeps
    nothing."""
    from passaparola.journeys.freeze import freeze_now
    from passaparola.outbox.preview import build_preview
    from passaparola.outbox.render.frozen import freezer

    content = freeze_now(context.store, context.settings, name, freezer(context.settings))
    preview = build_preview(context.store, context.settings, content, context.house_now)
    return Result(preview.as_json(), lambda: out.print(preview.as_text()))


@command(campaigns, "send")
def campaign_send(
    context: CommandContext,
    name: str,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without being asked.")] = False,
) -> Result:
    """Freeze, approve and send a campaign now, without any Prefect server. Started again, it goes on where it
    stopped."""
    from passaparola import engine
    from passaparola.outbox import ledger

    launch_id = _unfinished_launch(context, name) or _prepare_and_approve(context, name, yes)
    engine.tick(context.store, context.settings, context.now, actor=context.actor, only=launch_id)
    drain_until_stopped(context, launch_id)
    with context.store.read() as session:
        tally = ledger.tally_launch(session, launch_id)
    paused = f"Launch {launch_id} is paused: {tally.note}" if tally.state == "paused" else None
    return Result(tally.as_json(), lambda: show_report(tally, context.settings.time_zone), failure=paused)


def _unfinished_launch(context: CommandContext, name: str) -> int | None:
    """Find the launch of these very files that was not finished. Says which launches of earlier words are under
    way. Raises BadContent: the files are broken, whatever is under way."""
    from passaparola.journeys import launch, status
    from passaparola.journeys.freeze import freeze_now
    from passaparola.outbox.render.frozen import freezer
    from passaparola.store.models import wording_hash

    content = freeze_now(context.store, context.settings, name, freezer(context.settings))
    wording = wording_hash(content)
    with context.store.read() as session:
        same = launch.unfinished_launch(session, name, wording)
        others = status.unfinished_launches(session, name)
    for other in others if same is None else ():
        if other.wording != wording and other.state in ACTIVE_STATES:
            earlier = f"Launch {other.id}, with earlier words, is still under way; those inside finish it."
            err.print(f"{earlier} This is a new one.")
    return same


def _prepare_and_approve(context: CommandContext, name: str, yes: bool) -> int:
    """Show a campaign, ask, freeze and approve it. Return the launch's id. Raises NotAllowed."""
    from passaparola.journeys import launch
    from passaparola.journeys.freeze import freeze_now
    from passaparola.outbox.preview import build_preview
    from passaparola.outbox.render.frozen import freezer

    store, settings, freeze, preview = context.store, context.settings, freezer(context.settings), None
    if not yes:
        preview = build_preview(store, settings, freeze_now(store, settings, name, freeze), context.house_now)
        err.print(preview.as_text())
        prompt = f"Send to {preview.sendable:,} people?" if preview.audience else f"Start “{preview.title}”?"
        if not _confirm(prompt):
            raise NotAllowed("Nothing was sent. --yes approves without being asked.")
    made = launch.prepare(store, settings, name, freeze, actor=context.actor, now=context.house_now)
    assert made.id is not None
    if preview and made.wording != preview.wording:
        comment = "changed while it was looked at"
        launch.reject(store, made.id, approver=context.actor, now=context.now, comment=comment)
        raise NotAllowed("The files were changed while you looked at them. Nothing was sent; look again.")
    launch.approve(store, settings, made.id, made.hash, freeze, approver=context.actor, now=context.now)
    return made.id


def _confirm(prompt: str) -> bool:
    return sys.stdin.isatty() and typer.confirm(prompt, err=True)


@command(campaigns, "rehearse")
def campaign_rehearse(
    context: CommandContext,
    name: str,
    days: Annotated[int, typer.Option(min=1, max=1000, help="How far to look ahead.")] = 90,
    contacts: Annotated[str, typer.Option(help="Only an audience, or a question; default: everyone.")] = "",
    assume: Annotated[
        list[str] | None, typer.Option(help="answers survey 9 · order_completed · order_refunded after 2 days")
    ] = None,
) -> Result:
    """Play a campaign: the real statements on a fake clock in a copy of the store. Sends and changes nothing."""
    from passaparola.rehearsal import rehearse

    settings, now = context.settings, context.house_now
    seen = rehearse(context.store, settings, name, days=days, now=now, contacts=contacts, assume=assume or ())
    return Result(seen.as_json(), lambda: show_rehearsal(seen, settings.time_zone))


@command(campaigns, "status")
def campaign_status(context: CommandContext, name: str) -> Result:
    """Show who is where: under way at which step, ended how, held out; for every launch that is not over."""
    from passaparola.journeys.status import launch_status, unfinished_launches

    with context.store.read() as session:
        statuses = [launch_status(session, launch) for launch in unfinished_launches(session, name)]
    if not statuses:
        raise Unknown(f"“{name}” has not been launched yet.")
    return Result([vars(status) for status in statuses], lambda: show_statuses(statuses, context.format_time))


@command(campaigns, "stop")
def campaign_stop(context: CommandContext, name: str) -> str:
    """Stop accepting people; current ones finish."""
    from passaparola.journeys import launch

    stopped = launch.stop_accepting(context.store, name, actor=context.actor, now=context.now)
    return f"Launch {stopped} no longer accepts people. Current ones finish; `recall` stops them too."


@command(campaigns, "move")
def campaign_move(
    context: CommandContext,
    name: str,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without being asked.")] = False,
) -> Result:
    """Move those inside older versions of a campaign to the one that stands; says first what that does."""
    from passaparola.journeys import versions

    with context.store.read() as session:
        plan = versions.plan_move(session, name)
    if not yes:
        show_move(plan)
        if not _confirm(f"Move {plan.people:,} people?"):
            raise NotAllowed("Nobody was moved. --yes moves without being asked.")
    done = versions.move_enrolments(context.store, name, actor=context.actor, now=context.now)
    return Result(vars(done), lambda: out.print(f"{done.people:,} people moved to launch {done.to}."))


@command(campaigns, "pause")
def campaign_pause(context: CommandContext, name: LaunchName) -> str:
    """Send nothing more of it for now; what is in the air lands."""
    from passaparola.outbox.ledger import pause_launch

    launch_id = _find_launch(context, name)
    pause_launch(context.store, launch_id, actor=context.actor, now=context.now)
    return f"Launch {launch_id}: paused."


@command(campaigns, "resume")
def campaign_resume(context: CommandContext, name: LaunchName) -> str:
    """Resume a launch where it was paused."""
    from passaparola.outbox.ledger import resume_launch

    launch_id = _find_launch(context, name)
    resume_launch(context.store, launch_id, actor=context.actor, now=context.now)
    return f"Launch {launch_id}: resumed."


@command(campaigns, "recall")
def campaign_recall(context: CommandContext, name: LaunchName) -> str:
    """Hold whatever has not left yet, for good."""
    from passaparola.outbox.ledger import recall_launch

    launch_id = _find_launch(context, name)
    recall_launch(context.store, launch_id, actor=context.actor, now=context.now)
    return f"Launch {launch_id}: recalled."


def _find_launch(context: CommandContext, name: str) -> int:
    from passaparola.outbox.ledger import latest_launch

    with context.store.read() as session:
        return int(name) if name.isdigit() else latest_launch(session, name)
