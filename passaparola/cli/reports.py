"""What came of it, on the command line: reports, the story of one contact, polling."""

from typing import TYPE_CHECKING

from passaparola.cli.app import app
from passaparola.cli.campaign_views import show_outcome, show_report
from passaparola.cli.command import CommandContext, Result, command, find_contact
from passaparola.cli.output import out, without_markup

if TYPE_CHECKING:
    from sqlmodel import Session

    from passaparola.contacts.audience import ConditionResult
    from passaparola.store.models import Launch


@command(app)
def report(context: CommandContext, name: str) -> Result:
    """Report on a campaign's newest launch (or a launch by number), and what came of it."""
    from passaparola.outbox import ledger
    from passaparola.reports import campaign

    with context.store.read() as session:
        tally = ledger.tally_launch(session, int(name) if name.isdigit() else ledger.latest_launch(session, name))
        outcome = campaign.build_report(session, context.settings, tally.campaign, tally.launch)

    def show() -> None:
        show_report(tally, context.settings.time_zone)
        show_outcome(outcome)

    return Result(tally.as_json() | {"outcome": outcome.as_json()}, show)


@command(app)
def poll(context: CommandContext) -> Result:
    """Poll mailboxes and networks, apply what came, and see to response clocks, retention and the audit's chain."""
    import asyncio

    from passaparola import engine
    from passaparola.operations import polling

    settings, store = context.settings, context.store
    result = asyncio.run(polling.poll_channels(store, settings, context.now))
    engine.tick(store, settings, context.now, actor=context.actor)
    result.done = polling.run_maintenance(store, settings, context.now)
    data = {"received": result.received, "problems": result.problems, "done": result.done}
    return Result(data, lambda: out.print(without_markup(str(result))))


@command(app)
def why(context: CommandContext, contact: str, campaign: str) -> Result:
    """Tell the whole story of one contact in one campaign: matched because, held because, sent when, in which
    attempt."""
    from passaparola.outbox import ledger
    from passaparola.outbox.story import tell_story
    from passaparola.store.models import Launch

    with context.store.read() as session:
        contact_id = find_contact(session, contact)
        launch_id = int(campaign) if campaign.isdigit() else ledger.latest_launch(session, campaign)
        launch = session.get(Launch, launch_id)
        assert launch is not None
        verdicts = _explain(context, session, launch, contact_id)
        story = tell_story(session, launch_id, contact_id, context.settings.time_zone)

    def show() -> None:
        out.print(f"Launch {launch_id} of {campaign}, contact {contact_id}")
        for verdict in verdicts:
            mark = "[green]✓[/green]" if verdict.holds else "[red]✗[/red]"
            out.print(f"  {'  ' * verdict.depth}{mark} {without_markup(verdict.text)}")
        for at, what in story.sentences:
            when = context.format_time(at, seconds=True) if at else ""
            out.print(f"  {when:19}  {without_markup(what)}")

    data = {
        "contact": contact_id,
        "launch": launch_id,
        "audience": [vars(verdict) for verdict in verdicts],
        "story": [{"at": at.isoformat() if at else None, "what": what} for at, what in story.sentences],
    }
    return Result(data, show)


def _explain(context: CommandContext, session: "Session", launch: "Launch", contact_id: int) -> "list[ConditionResult]":
    """Explain a launch's audience for a contact; none where an event lets people in."""
    from passaparola.contacts import audience

    question = launch.content["audience"]
    if not question:
        return []
    parsed = audience.Question.parse(question, audience.load_catalogue(session, context.settings))
    return audience.explain_contact(session, parsed, contact_id, launch.created_at)
