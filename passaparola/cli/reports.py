"""What came of it, on the command line: reports, the story of one contact, polling."""

from typing import Any

from passaparola.cli.app import app
from passaparola.cli.campaign_views import show_outcome, show_report
from passaparola.cli.output import (
    AsJson,
    actor,
    contact_id,
    emit,
    format_time,
    now,
    open_store,
    out,
    without_markup,
)


@app.command()
def report(name: str, as_json: AsJson = False) -> None:
    """Report on a campaign's newest launch (or a launch by number), and what came of it."""
    from passaparola.outbox import ledger
    from passaparola.reports import campaign

    settings, store = open_store()
    with store.read() as session:
        tally = ledger.tally_launch(session, int(name) if name.isdigit() else ledger.latest_launch(session, name))
        came = campaign.build_report(session, settings, tally.campaign, tally.launch)

    def shown() -> None:
        show_report(tally)
        show_outcome(came)

    emit(as_json, tally.as_json() | {"outcome": came.as_json()}, shown)


@app.command()
def poll(as_json: AsJson = False) -> None:
    """Poll mailboxes and networks, apply what came, and see to response clocks, retention and the audit's chain."""
    from passaparola import engine
    from passaparola.operations import polling

    settings, store = open_store()
    import asyncio

    result = asyncio.run(polling.poll_channels(store, settings, now()))
    engine.tick(store, settings, now(), actor=actor())
    result.done = polling.run_maintenance(store, settings, now())
    emit(
        as_json,
        {"found": result.received, "problems": result.problems, "done": result.done},
        lambda: out.print(without_markup(str(result))),
    )


@app.command()
def why(contact: str, campaign: str, as_json: AsJson = False) -> None:
    """Tell the whole story of one contact in one campaign: matched because, held because, sent when, in which
    attempt."""
    from passaparola.contacts import audience
    from passaparola.outbox import ledger
    from passaparola.outbox.story import tell_story
    from passaparola.store.models import Launch

    settings, store = open_store()
    with store.read() as session:
        person = contact_id(session, contact)
        launch_id = int(campaign) if campaign.isdigit() else ledger.latest_launch(session, campaign)
        launch = session.get(Launch, launch_id)
        assert launch is not None
        words = audience.load_catalogue(session, settings)
        query = launch.content["audience"]
        verdicts = (
            audience.explain_contact(session, audience.Question.parse(query, words), person, launch.created_at)
            if query
            else []
        )
        story = tell_story(session, launch_id, person, settings.time_zone)
    data = {
        "contact": person,
        "launch": launch_id,
        "audience": [vars(verdict) for verdict in verdicts],
        "story": [{"at": at.isoformat() if at else None, "what": what} for at, what in story.sentences],
    }

    emit(
        as_json,
        data,
        lambda: _show_story(f"Launch {launch_id} of {campaign}, contact {person}", verdicts, story, settings),
    )


def _show_story(title: str, verdicts: Any, story: Any, settings: Any) -> None:
    out.print(title)
    for verdict in verdicts:
        mark = "[green]✓[/green]" if verdict.holds else "[red]✗[/red]"
        out.print(f"  {'  ' * verdict.depth}{mark} {without_markup(verdict.text)}")
    for at, what in story.sentences:
        out.print(
            f"  {format_time(settings, at, seconds=True)}  {without_markup(what)}"
            if at
            else f"  {'':19}  {without_markup(what)}"
        )
