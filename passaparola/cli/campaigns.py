"""Campaigns on the command line: look, rehearse, send, stop, move."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passaparola.cli.campaign_views import show_rehearsal, show_report
from passaparola.cli.deliver import drain_until_stopped
from passaparola.cli.output import (
    AsJson,
    actor,
    emit,
    err,
    format_time,
    group,
    house_now,
    now,
    open_store,
    out,
    table,
    without_markup,
)
from passaparola.errors import NotAllowed, PassaparolaError, Unknown

if TYPE_CHECKING:
    from passaparola.store.database import Store

ACTIVE_STATES = ("approved", "running", "paused")

campaigns = group("Preview, rehearse, send and stop campaigns.")


@campaigns.command("list")
def campaign_list(as_json: AsJson = False) -> None:
    """List the files of campaigns/."""
    from passaparola.journeys import campaign
    from passaparola.settings import get_settings

    rows = [
        {"name": name, "title": campaign.read_campaign(get_settings().home, name).title}
        for name in campaign.campaign_names(get_settings().home)
    ]
    emit(as_json, rows, lambda: table(rows))


@campaigns.command("preview")
def campaign_preview(name: str, as_json: AsJson = False) -> None:
    """Show who would get a campaign, who would not and why, what it says, and what it costs. Sends and keeps
    nothing."""
    from passaparola.journeys.freeze import freeze_now
    from passaparola.outbox.preview import build_preview
    from passaparola.outbox.render.frozen import freezer

    settings, store = open_store()
    seen = build_preview(store, settings, freeze_now(store, settings, name, freezer(settings)), house_now(settings))

    def shown() -> None:
        out.print(seen.as_text())

    emit(as_json, seen.as_json(), shown)


@campaigns.command("send")
def campaign_send(
    name: str,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without being asked.")] = False,
    as_json: AsJson = False,
) -> None:
    """Freeze, approve and send a campaign now, without any Prefect server. Started again, it goes on where it
    stopped."""
    from passaparola import engine
    from passaparola.journeys import launch, status
    from passaparola.journeys.freeze import freeze_now
    from passaparola.outbox import ledger
    from passaparola.outbox.render.frozen import freezer
    from passaparola.store.models import wording_hash

    settings, store = open_store()
    # Read before anything else: a broken file is said.
    wording = wording_hash(freeze_now(store, settings, name, freezer(settings)))
    with store.read() as session:
        going = launch.unfinished_launch(session, name, wording)
        before = [
            unfinished
            for unfinished in status.unfinished_launches(session, name)
            if unfinished.wording != wording and unfinished.state in ACTIVE_STATES
        ]
    if going is None:
        for other in before:
            err.print(
                f"Launch {other.id}, with earlier words, is still under way; those inside finish it. This is a new one."
            )
        going = _prepare_and_approve(store, settings, name, yes)
    engine.tick(store, settings, now(), actor=actor(), only=going)
    drain_until_stopped(settings, store, going, quiet=as_json)
    with store.read() as session:
        tally = ledger.tally_launch(session, going)
    emit(as_json, tally.as_json(), lambda: show_report(tally))
    if tally.state == "paused":
        raise PassaparolaError(f"Launch {going} is paused: {tally.note}")


def _prepare_and_approve(store: Any, settings: Any, name: str, yes: bool) -> int:
    """Show a campaign, ask, freeze and approve it. Return the launch's id. Raises NotAllowed."""
    from passaparola.journeys import launch
    from passaparola.journeys.freeze import freeze_now
    from passaparola.outbox.preview import build_preview
    from passaparola.outbox.render.frozen import freezer

    freeze, seen = freezer(settings), None
    if not yes:
        seen = build_preview(store, settings, freeze_now(store, settings, name, freeze), house_now(settings))
        err.print(seen.as_text())
        prompt = f"Send to {seen.sendable:,} people?" if seen.audience else f"Start “{seen.title}”?"
        if not sys.stdin.isatty() or not typer.confirm(prompt, err=True):
            raise NotAllowed("Nothing was sent. --yes approves without being asked.")
    made = launch.prepare(store, settings, name, freeze, actor=actor(), now=house_now(settings))
    assert made.id is not None
    if seen and made.wording != seen.wording:
        launch.reject(store, made.id, approver=actor(), now=now(), comment="changed while it was looked at")
        raise NotAllowed("The files were changed while you looked at them. Nothing was sent; look again.")
    launch.approve(store, settings, made.id, made.hash, freeze, approver=actor(), now=now())
    return made.id


@campaigns.command("rehearse")
def campaign_rehearse(
    name: str,
    days: Annotated[int, typer.Option(min=1, max=1000, help="How far to look ahead.")] = 90,
    contacts: Annotated[str, typer.Option(help="Only an audience, or a question; default: everyone.")] = "",
    assume: Annotated[
        list[str] | None, typer.Option(help="answers survey 9 · order_completed · order_refunded after 2 days")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play a campaign: the real statements on a fake clock in a copy of the store. Sends and changes nothing."""
    from passaparola.rehearsal import rehearse

    settings, store = open_store()
    seen = rehearse(store, settings, name, days=days, now=house_now(settings), contacts=contacts, assume=assume or ())
    emit(as_json, seen.as_json(), lambda: show_rehearsal(seen, settings.time_zone))


@campaigns.command("status")
def campaign_status(name: str, as_json: AsJson = False) -> None:
    """Show who is where: under way at which step, ended how, held out; for every launch that is not over."""
    from passaparola.journeys.status import launch_status, unfinished_launches

    settings, store = open_store()
    with store.read() as session:
        statuss = [launch_status(session, launch) for launch in unfinished_launches(session, name)]
    if not statuss:
        raise Unknown(f"“{name}” has not been launched yet.")

    def shown() -> None:
        for status_ in statuss:
            door = ", taking people in" if status_.accepting else ""
            out.print(
                f"Launch {status_.launch} of [bold]{status_.campaign}[/bold]: {status_.state}{door}. "
                f"{without_markup(status_.note)}"
            )
            ended = "".join(f", {count:,} {how}" for how, count in status_.ended.items())
            out.print(
                f"  {status_.entered:,} entered: {status_.under_way:,} under way{ended}; {status_.held_out:,} held out"
            )
            out.print(f"  goal: {status_.goal:,} of those written to, {status_.goal_of_held_out:,} of those held out")
            for step in status_.steps:
                due = format_time(settings, step["earliest"]) if step["earliest"] else ""
                out.print(f"  {step['people']:,} at step {step['step']}, {step['next']}; the next at {due}")

    emit(as_json, [vars(status_) for status_ in statuss], shown)


@campaigns.command("stop")
def campaign_stop(name: str) -> None:
    """Take nobody in any more; those who are in finish."""
    from passaparola.journeys import launch

    _, store = open_store()
    stopped = launch.stop_accepting(store, name, actor=actor(), now=now())
    out.print(f"Launch {stopped} takes nobody in any more; those who are in finish. `recall` would end them, too.")


@campaigns.command("move")
def campaign_move(
    name: str,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without being asked.")] = False,
    as_json: AsJson = False,
) -> None:
    """Move those inside older versions of a campaign to the one that stands; says first what that does."""
    from passaparola.journeys import versions

    _, store = open_store()
    with store.read() as session:
        plan = versions.plan_move(session, name)

    def shown() -> None:
        for part in plan.parts:
            where = (
                f"step {part['to_step'] + 1} of launch {plan.to}, {part['then']}"
                if part["to_step"] is not None
                else part["then"]
            )
            out.print(f"  {part['people']:,} in launch {part['launch']} before “{part['now']}” → {where}")

    if not yes:
        shown()
        if not sys.stdin.isatty() or not typer.confirm(f"Move {plan.people:,} people?", err=True):
            raise NotAllowed("Nobody was moved. --yes moves without being asked.")
    plan = versions.move_enrolments(store, name, actor=actor(), now=now())
    emit(as_json, vars(plan), lambda: out.print(f"{plan.people:,} people moved to launch {plan.to}."))


LaunchName = Annotated[str, typer.Argument(help="A campaign (its newest launch) or a launch's number.")]


@campaigns.command("pause")
def campaign_pause(name: LaunchName) -> None:
    """Send nothing more of it for now; what is in the air lands."""
    from passaparola.outbox.ledger import pause_launch

    store, launch = _find_launch(name)
    pause_launch(store, launch, actor=actor(), now=now())
    out.print(f"Launch {launch}: paused.")


@campaigns.command("resume")
def campaign_resume(name: LaunchName) -> None:
    """Resume a launch where it was paused."""
    from passaparola.outbox.ledger import resume_launch

    store, launch = _find_launch(name)
    resume_launch(store, launch, actor=actor(), now=now())
    out.print(f"Launch {launch}: resumed.")


@campaigns.command("recall")
def campaign_recall(name: LaunchName) -> None:
    """Hold whatever has not left yet, for good."""
    from passaparola.outbox.ledger import recall_launch

    store, launch = _find_launch(name)
    recall_launch(store, launch, actor=actor(), now=now())
    out.print(f"Launch {launch}: recalled.")


def _find_launch(name: str) -> "tuple[Store, int]":
    from passaparola.outbox.ledger import latest_launch

    _, store = open_store()
    with store.read() as session:
        return store, int(name) if name.isdigit() else latest_launch(session, name)
