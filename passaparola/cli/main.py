"""The engineer's door: `passaparola …`. Exit code 0: done; 1: it could not be done, and one sentence says why; 2:
usage."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from passaparola.cli.campaigns import campaigns, show_outcome, show_report
from passaparola.cli.channels import channels
from passaparola.cli.contacts import contacts
from passaparola.cli.db import database, doctor
from passaparola.cli.deliver import deliver
from passaparola.cli.inbound import intake
from passaparola.cli.inbox import audits, inbox, staff
from passaparola.cli.output import (
    AsJson,
    actor,
    contact_id,
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
from passaparola.errors import NotAllowed, PassaparolaError

app = group("Campaigns that talk and listen.", add_completion=False, pretty_exceptions_enable=False)
audiences = group("Ask who is in an audience, and why.")
for name, commands in (
    ("audience", audiences),
    ("campaign", campaigns),
    ("contact", contacts),
    ("intake", intake),
    ("inbox", inbox),
    ("staff", staff),
    ("audit", audits),
    ("channel", channels),
    ("db", database),
):
    app.add_typer(commands, name=name)


def main() -> None:
    """Run the command. Every error of ours is one sentence; whatever else goes wrong is named without a traceback."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        app()
    except PassaparolaError as error:
        err.print(f"[red]✗[/red] {without_markup(str(error))}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("PASSAPAROLA_DEBUG"):
            raise
        err.print(f"[red]✗[/red] {without_markup(_describe_error(error))}")
        sys.exit(1)


def _describe_error(error: Exception) -> str:
    import errno

    from pydantic import ValidationError
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"]).upper()
        return f"The setting PASSAPAROLA_{field} is not valid: {problem['msg']}"
    if isinstance(error, DBAPIError):
        return f"The database refused: {str(error.orig).strip().splitlines()[0]}. Nothing was changed by this step."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full. Make room; then start the same command again, it goes on where it stopped."
    return f"{type(error).__name__}: {error}. PASSAPAROLA_DEBUG=1 shows where."


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV of any common encoding and delimiter, or XLSX.")],
    mapping: Annotated[Path | None, typer.Option(help="YAML that says what each column is.")] = None,
    show_mapping: Annotated[
        bool, typer.Option("--show-mapping", help="Print the guessed mapping as YAML and stop.")
    ] = False,
    consent: Annotated[list[str] | None, typer.Option(help="A topic that everyone in the file said yes to.")] = None,
    source: Annotated[str, typer.Option(help="Where and how they said it; needed with --consent.")] = "",
    as_json: AsJson = False,
) -> None:
    """Bring people, their consents and their purchases in. The same file again changes nothing."""
    import yaml
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from passaparola.contacts.imports.columns import ColumnMapping, guess_columns
    from passaparola.contacts.imports.importing import Import
    from passaparola.contacts.imports.tables import open_table as read
    from passaparola.content import from_yaml

    if consent and not source:
        raise NotAllowed("--consent needs --source TEXT: where and how these people said yes.")
    with read(file) as rows:
        header = rows.header
    if show_mapping:
        sys.stdout.write(yaml.safe_dump({"columns": guess_columns(header)}, sort_keys=False, allow_unicode=True))
        return
    plan = (
        from_yaml(mapping.read_text(encoding="utf-8"), ColumnMapping, str(mapping))
        if mapping
        else from_yaml(
            yaml.safe_dump({"columns": guess_columns(header)}),
            ColumnMapping,
            "the guessed mapping (see --show-mapping)",
        )
    )
    settings, store = open_store()
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=err.console, disable=as_json or not err.is_terminal) as bar:
        task = bar.add_task(file.name, total=file.stat().st_size or 1, rows=0)
        tally = Import(store, settings, file, plan, tuple(consent or ()), source).run(
            now(), lambda rows, at: bar.update(task, completed=at, rows=rows)
        )

    def shown() -> None:
        out.print(
            f"{tally.rows:,} rows: {tally.new:,} new, {tally.changed:,} changed, {tally.unchanged:,} as they were, "
            f"{tally.rejected:,} not taken; {tally.consents:,} consents, {tally.purchases:,} purchases."
        )
        if tally.refused:
            out.print(
                f"{tally.refused:,} rows say no to being written to: none of them is a yes, whatever --consent says."
            )
        if tally.shared:
            out.print(f"{tally.shared:,} rows name a telephone or a handle that is somebody else's; it stays theirs.")
        if tally.rejects:
            out.print(f"What was not taken, and why: {tally.rejects}")
        if not tally.consents and not tally.unchanged:
            out.print("Nobody may be written to yet: the file has no consent column, and --consent was not given.")

    emit(as_json, vars(tally), shown)


@audiences.command("count")
def audience_count(
    question: Annotated[str, typer.Argument(help="A name or a question.")], as_json: AsJson = False
) -> None:
    """Count the contacts in an audience now."""
    from passaparola.contacts import audience

    settings, store = open_store()
    with store.read() as session:
        question_ = audience.Question.parse(question, audience.load_catalogue(session, settings))
        found = audience.count_members(session, question_, house_now(settings))
    emit(as_json, {"audience": question, "count": found}, lambda: out.print(f"{found:,}"))


@audiences.command("sample")
def audience_sample(
    question: str, size: Annotated[int, typer.Option(min=1, max=1000)] = 10, as_json: AsJson = False
) -> None:
    """Show a few contacts of an audience, the same ones each time."""
    from passaparola.contacts import audience

    settings, store = open_store()
    with store.read() as session:
        question_ = audience.Question.parse(question, audience.load_catalogue(session, settings))
        people = audience.sample_members(session, question_, house_now(settings), size)
        rows = [
            {
                "id": p.id,
                "first_name": p.first_name,
                "last_name": p.last_name,
                "country": p.country,
                "language": p.language,
            }
            for p in people
        ]
    emit(as_json, {"audience": question, "contacts": rows}, lambda: table(rows))


@audiences.command("explain")
def audience_explain(
    question: str,
    contact: Annotated[str, typer.Option(help="An address or an id.")],
    as_json: AsJson = False,
) -> None:
    """Show which parts of the question hold for one contact, and which do not."""
    from passaparola.contacts import audience

    settings, store = open_store()
    with store.read() as session:
        question_ = audience.Question.parse(question, audience.load_catalogue(session, settings))
        verdicts = audience.explain_contact(session, question_, contact_id(session, contact), house_now(settings))

    def shown() -> None:
        for verdict in verdicts:
            mark = "[green]✓[/green]" if verdict.holds else "[red]✗[/red]"
            out.print(f"{'  ' * verdict.depth}{mark} {without_markup(verdict.text)}")

    emit(as_json, {"holds": verdicts[0].holds, "parts": [vars(verdict) for verdict in verdicts]}, shown)


@audiences.command("list")
def audience_list(as_json: AsJson = False) -> None:
    """List the files of audiences/."""
    from passaparola.contacts import audience
    from passaparola.settings import get_settings

    rows = [
        {"name": name, "title": audience.load_audience(get_settings().home, name).title}
        for name in audience.audience_names(get_settings().home)
    ]
    emit(as_json, rows, lambda: table(rows))


def _store_catalogue() -> Any:
    """Return what this house's contacts have and did, where there is a store yet; a check makes none."""
    from passaparola.contacts import audience
    from passaparola.settings import get_settings
    from passaparola.store.database import Store

    settings = get_settings()
    if not settings.database_url and not (settings.var / "passaparola.db").exists():
        return audience.load_catalogue(None, settings)
    store = Store(settings.database).open()
    with store.read() as session:
        return audience.load_catalogue(session, settings)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Read all content, render it for the cast, and say file, line and remedy of whatever is wrong."""
    from passaparola.operations import policies
    from passaparola.operations.check_content import check_content, transactional_wordings
    from passaparola.outbox.render.check import check_house_messages, check_message, find_offers
    from passaparola.settings import get_settings

    words = _store_catalogue()
    problems = (
        check_content(get_settings(), check_message, words)
        + check_house_messages(get_settings())
        + policies.check_policies(get_settings().home)
    )

    warnings = [
        found for wording in transactional_wordings(get_settings()) for found in find_offers(get_settings(), *wording)
    ]

    def shown() -> None:
        for problem in problems:
            err.print(f"[red]✗[/red] {without_markup(problem)}")
        for warning in warnings:
            err.print(f"[yellow]![/yellow] {without_markup(warning)}")
        if not problems:
            out.print("[green]✓[/green] All audiences, campaigns, templates and policies are fine.")

    emit(as_json, {"problems": problems, "warnings": warnings}, shown)
    if problems:
        raise typer.Exit(1)


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
        {"found": result.found, "problems": result.problems, "done": result.done},
        lambda: out.print(without_markup(str(result))),
    )


@app.command()
def why(contact: str, campaign: str, as_json: AsJson = False) -> None:
    """Tell the whole story of one contact in one campaign: matched because, held because, sent when, in which
    attempt."""
    from passaparola.contacts import audience
    from passaparola.outbox import ledger
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
        story = ledger.tell_story(session, launch_id, person, settings.time_zone)
    data = {
        "contact": person,
        "launch": launch_id,
        "audience": [vars(verdict) for verdict in verdicts],
        "story": [{"at": at.isoformat() if at else None, "what": what} for at, what in story.sentences],
    }

    def shown() -> None:
        out.print(f"Launch {launch_id} of {campaign}, contact {person}")
        for verdict in verdicts:
            mark = "[green]✓[/green]" if verdict.holds else "[red]✗[/red]"
            out.print(f"  {'  ' * verdict.depth}{mark} {without_markup(verdict.text)}")
        for at, what in story.sentences:
            out.print(
                f"  {format_time(settings, at, seconds=True)}  {without_markup(what)}"
                if at
                else f"  {'':19}  {without_markup(what)}"
            )

    emit(as_json, data, shown)


app.command()(deliver)
app.command()(doctor)


@app.command()
def schema() -> None:
    """Write docs/campaign.schema.json, by which editors complete campaign files."""
    from passaparola.journeys.campaign import json_schema
    from passaparola.settings import get_settings

    path = get_settings().home / "docs" / "campaign.schema.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json_schema(), encoding="utf-8")
    out.print(f"Written: {path}")


Port = Annotated[int, typer.Option(min=1, max=65535, help="The port of the web app: pages, webhooks, console.")]
PrefectPort = Annotated[int, typer.Option(min=1, max=65535, help="The port of Prefect's pages and API.")]


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="Made if it is not there.")],
    language: Annotated[str, typer.Option(help="The house's own language: en or it.")] = "en",
) -> None:
    """Make a project: starter content, settings, deployments, and an example of a channel and a flow of your own."""
    from passaparola.operations.project import create_project

    create_project(folder, language)
    out.print(f"{folder} is a project. Next: cd {folder} && passaparola check")


@app.command()
def up(port: Port = 8000, prefect_port: PrefectPort = 4200) -> None:
    """Start everything: Prefect server, runner, web app and deployments; Ctrl-C ends it all."""
    _exec_module("passaparola.operations.stack", ["--port", str(port), "--prefect-port", str(prefect_port)])


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Leave after the report.")] = False,
    contacts: Annotated[int, typer.Option(min=100, max=200_000, help="How many people the shop knows.")] = 5_000,
    port: Port = 8000,
    prefect_port: PrefectPort = 4200,
) -> None:
    """Run a small shop with 5,000 contacts: everything starts, the spring campaign goes out, its customers come
    back."""
    given = ["--port", str(port), "--prefect-port", str(prefect_port), "--contacts", str(contacts)]
    _exec_module("passaparola.demo.run", [*given, *(["--once"] if once else [])])


@app.command()
def web(
    host: Annotated[str, typer.Option(help="0.0.0.0 answers everybody; behind a proxy leave it.")] = "127.0.0.1",
    port: Port = 8000,
) -> None:
    """Serve the public pages, webhooks and the local mailbox alone."""
    open_store()
    _exec_module("passaparola.web.server", ["--host", host, "--port", str(port)])


def _exec_module(module: str, arguments: list[str]) -> None:
    """Become another process: the doors do not import each other."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])


if __name__ == "__main__":
    main()
