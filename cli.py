"""The engineer's door: `passaparola …`. Exit code 0: done; 1: it could not be done, and one sentence says why; 2: usage."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from errors import NotAllowed, PassaparolaError, Unknown

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Campaigns that talk and listen."
)
audiences = typer.Typer(no_args_is_help=True, help="Ask who is in an audience, and why.")
campaigns = typer.Typer(no_args_is_help=True, help="Preview, send and stop campaigns.")
contacts = typer.Typer(no_args_is_help=True, help="One contact: what we know and what they allow.")
database = typer.Typer(no_args_is_help=True, help="The contact store's tables.")
for name, group in (("audience", audiences), ("campaign", campaigns), ("contact", contacts), ("db", database)):
    app.add_typer(group, name=name)

out, err = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False, soft_wrap=True)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, for programs.")]


def main() -> None:
    """Every error of ours is one sentence; whatever else goes wrong is named without a traceback."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        app()
    except PassaparolaError as error:
        err.print(f"[red]✗[/red] {_plain(str(error))}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("PASSAPAROLA_DEBUG"):
            raise
        err.print(f"[red]✗[/red] {_plain(_words_for(error))}")
        sys.exit(1)


def _words_for(error: Exception) -> str:
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


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _opened() -> tuple[Any, Any]:
    from contacts.store import Store
    from settings import settings

    own = settings()
    return own, Store(own.database).open()


def _now() -> datetime:
    return datetime.now(UTC)


def _actor() -> str:
    return f"cli:{os.environ.get('USER') or 'operator'}"


def _say(as_json: bool, data: Any, shown: Callable[[], None]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(data, ensure_ascii=False, default=str) + "\n")
    else:
        shown()


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

    from contacts.content import from_yaml
    from contacts.intake.files import Import
    from contacts.mapping import Mapping, guessed
    from contacts.tables import opened

    if consent and not source:
        raise NotAllowed("--consent needs --source TEXT: where and how these people said yes.")
    with opened(file) as table:
        header = table.header
    if show_mapping:
        sys.stdout.write(yaml.safe_dump({"columns": guessed(header)}, sort_keys=False, allow_unicode=True))
        return
    plan = (
        from_yaml(mapping.read_text(encoding="utf-8"), Mapping, str(mapping))
        if mapping
        else from_yaml(
            yaml.safe_dump({"columns": guessed(header)}), Mapping, "the guessed mapping (see --show-mapping)"
        )
    )
    own, store = _opened()
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=err, disable=as_json or not err.is_terminal) as bar:
        task = bar.add_task(file.name, total=file.stat().st_size or 1, rows=0)
        tally = Import(store, own, file, plan, tuple(consent or ()), source).run(
            _now(), lambda rows, at: bar.update(task, completed=at, rows=rows)
        )

    def shown() -> None:
        out.print(
            f"{tally.rows:,} rows: {tally.new:,} new, {tally.changed:,} changed, {tally.unchanged:,} as they were, "
            f"{tally.rejected:,} not taken; {tally.consents:,} consents, {tally.purchases:,} purchases."
        )
        if tally.rejects:
            out.print(f"What was not taken, and why: {tally.rejects}")
        if not tally.consents and not tally.unchanged:
            out.print("Nobody may be written to yet: the file has no consent column, and --consent was not given.")

    _say(as_json, vars(tally), shown)


@audiences.command("count")
def audience_count(
    question: Annotated[str, typer.Argument(help="A name or a question.")], as_json: AsJson = False
) -> None:
    """How many contacts are in it now."""
    from contacts import audience

    own, store = _opened()
    with store.read() as session:
        asked = audience.Question.of(question, audience.catalogue(session, own.home, own.currency))
        found = audience.count(session, asked, _house_now(own))
    _say(as_json, {"audience": question, "count": found}, lambda: out.print(f"{found:,}"))


@audiences.command("sample")
def audience_sample(
    question: str, size: Annotated[int, typer.Option(min=1, max=1000)] = 10, as_json: AsJson = False
) -> None:
    """A few of them, the same ones each time."""
    from contacts import audience

    own, store = _opened()
    with store.read() as session:
        asked = audience.Question.of(question, audience.catalogue(session, own.home, own.currency))
        people = audience.sample(session, asked, _house_now(own), size)
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
    _say(as_json, {"audience": question, "contacts": rows}, lambda: _table(rows))


@audiences.command("explain")
def audience_explain(
    question: str,
    contact: Annotated[str, typer.Option(help="An address or an id.")],
    as_json: AsJson = False,
) -> None:
    """Which parts of the question hold for one contact, and which do not."""
    from contacts import audience

    own, store = _opened()
    with store.read() as session:
        asked = audience.Question.of(question, audience.catalogue(session, own.home, own.currency))
        verdicts = audience.explain(session, asked, _contact(session, contact), _house_now(own))

    def shown() -> None:
        for verdict in verdicts:
            mark = "[green]✓[/green]" if verdict.holds else "[red]✗[/red]"
            out.print(f"{'  ' * verdict.depth}{mark} {_plain(verdict.text)}")

    _say(as_json, {"holds": verdicts[0].holds, "parts": [vars(verdict) for verdict in verdicts]}, shown)


@audiences.command("list")
def audience_list(as_json: AsJson = False) -> None:
    """The files of audiences/."""
    from contacts import audience
    from settings import settings

    rows = [
        {"name": name, "title": audience.load(settings().home, name).title} for name in audience.names(settings().home)
    ]
    _say(as_json, rows, lambda: _table(rows))


@app.command()
def check(as_json: AsJson = False) -> None:
    """Read all content, render it for the cast, and say file, line and remedy of whatever is wrong."""
    from journeys.check import check_content
    from outbox.render.check import check_message
    from settings import settings

    problems = check_content(settings(), check_message)

    def shown() -> None:
        for problem in problems:
            err.print(f"[red]✗[/red] {_plain(problem)}")
        if not problems:
            out.print("[green]✓[/green] All audiences, campaigns and templates are fine.")

    _say(as_json, {"problems": problems}, shown)
    if problems:
        raise typer.Exit(1)


@campaigns.command("list")
def campaign_list(as_json: AsJson = False) -> None:
    """The files of campaigns/."""
    from journeys import campaign
    from settings import settings

    rows = [
        {"name": name, "title": campaign.read(settings().home, name).title} for name in campaign.names(settings().home)
    ]
    _say(as_json, rows, lambda: _table(rows))


@campaigns.command("preview")
def campaign_preview(name: str, as_json: AsJson = False) -> None:
    """Who would get it, who would not and why, what it says, and what it costs. Sends and keeps nothing."""
    from journeys.freeze import content as freeze_of
    from outbox.preview import preview
    from outbox.render.frozen import freezer

    own, store = _opened()
    seen = preview(store, own, freeze_of(own, name, freezer(own)), _house_now(own))

    def shown() -> None:
        out.print(seen.as_text())

    _say(as_json, seen.as_json(), shown)


@campaigns.command("send")
def campaign_send(
    name: str,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without being asked.")] = False,
    as_json: AsJson = False,
) -> None:
    """Freeze, approve and send a campaign now, without any Prefect server. Started again, it goes on where it stopped."""
    import street
    from journeys import launch
    from journeys.freeze import content as freeze_of
    from outbox import ledger
    from outbox.preview import preview
    from outbox.render.frozen import freezer

    own, store = _opened()
    freeze = freezer(own)
    with store.read() as session:
        going = launch.unfinished(session, name)
    if going is None:
        if not yes:
            seen = preview(store, own, freeze_of(own, name, freeze), _house_now(own))
            err.print(seen.as_text())
            if not sys.stdin.isatty() or not typer.confirm(f"Send to {seen.sendable:,} people?", err=True):
                raise NotAllowed("Nothing was sent. --yes approves without being asked.")
        made = launch.prepare(store, own, name, freeze, actor=_actor(), now=_house_now(own))
        if not yes and made.wording != seen.wording:
            launch.reject(store, made.id or 0, approver=_actor(), now=_now(), comment="changed while it was looked at")
            raise NotAllowed("The files were changed while you looked at them. Nothing was sent; look again.")
        going = made.id or 0
        launch.approve(store, own, going, made.hash, freeze, approver=_actor(), now=_now())
    street.decide(store, own, _now(), actor=_actor(), only=going)
    _drained(own, store, going, quiet=as_json)
    with store.read() as session:
        found = ledger.tally(session, going)
    _say(as_json, found.as_json(), lambda: _report(found))
    if found.state == "paused":
        raise PassaparolaError(f"Launch {going} is paused: {found.note}")


def _drained(own: Any, store: Any, launch: int | None, quiet: bool, patience: float = 300.0) -> Any:
    """SIGTERM and Ctrl-C let what is in hand land and take nothing new."""
    import signal

    from outbox.deliver import Drain

    async def run() -> Any:
        drain = Drain(store, own, launch, patience=patience)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, drain.stop)
        return await drain.run(lambda outcome, size: None if quiet else err.print(f"{size:,} {outcome}"))

    return asyncio.run(run())


def _control(verb: str) -> Callable[[str], None]:
    def control(
        name: Annotated[str, typer.Argument(help="A campaign (its newest launch) or a launch's number.")],
    ) -> None:
        from outbox import ledger

        _, store = _opened()
        with store.read() as session:
            launch = int(name) if name.isdigit() else ledger.latest(session, name)
        getattr(ledger, verb)(store, launch, actor=_actor(), now=_now())
        out.print(f"Launch {launch}: {verb}d." if verb.endswith("e") else f"Launch {launch}: {verb}ed.")

    return control


campaigns.command("pause", help="Send nothing more of it for now; what is in the air lands.")(_control("pause"))
campaigns.command("resume", help="Go on where it was paused.")(_control("resume"))
campaigns.command("recall", help="Hold for good whatever has not left yet.")(_control("recall"))


@app.command()
def report(name: str, as_json: AsJson = False) -> None:
    """What became of a campaign's newest launch (or of a launch by number)."""
    from outbox import ledger

    _, store = _opened()
    with store.read() as session:
        found = ledger.tally(session, int(name) if name.isdigit() else ledger.latest(session, name))
    _say(as_json, found.as_json(), lambda: _report(found))


@app.command()
def why(contact: str, campaign: str, as_json: AsJson = False) -> None:
    """The whole story of one contact in one campaign: matched because, held because, sent when, in which attempt."""
    from contacts import audience
    from contacts.models import Launch
    from outbox import ledger

    own, store = _opened()
    with store.read() as session:
        person = _contact(session, contact)
        launch_id = int(campaign) if campaign.isdigit() else ledger.latest(session, campaign)
        launch = session.get(Launch, launch_id)
        assert launch is not None
        asked = audience.Question.of(launch.content["audience"], audience.catalogue(session, own.home, own.currency))
        verdicts = audience.explain(session, asked, person, launch.created_at)
        told = ledger.story(session, launch_id, person)
    data = {
        "contact": person, "launch": launch_id,
        "audience": [vars(verdict) for verdict in verdicts],
        "story": [{"at": at.isoformat() if at else None, "what": what} for at, what in told.sentences],
    }  # fmt: skip

    def shown() -> None:
        out.print(f"Launch {launch_id} of {campaign}, contact {person}")
        for verdict in verdicts:
            mark = "[green]✓[/green]" if verdict.holds else "[red]✗[/red]"
            out.print(f"  {'  ' * verdict.depth}{mark} {_plain(verdict.text)}")
        for at, what in told.sentences:
            out.print(f"  {at:%Y-%m-%d %H:%M:%S}  {_plain(what)}" if at else f"  {'':19}  {_plain(what)}")

    _say(as_json, data, shown)


@app.command()
def deliver(
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on for ever: a worker of its own.")] = False,
) -> None:
    """Drain the outbox: send what is due, resolve what is unknown. Any number of these may run at once."""
    from collections import Counter

    import street
    from outbox import reconcile

    own, store = _opened()
    total: Counter[str] = Counter()
    while True:
        found = asyncio.run(reconcile.reconcile(store, _now()))
        street.decide(store, own, _now(), actor=_actor())
        total += _drained(own, store, None, quiet=as_json, patience=3600.0 if watch else 300.0)
        if not watch:
            break
        import time

        time.sleep(2)
    data = {**total, "reconciled": vars(found)}
    _say(
        as_json, data, lambda: out.print(", ".join(f"{n:,} {what}" for what, n in total.items()) or "Nothing was due.")
    )


@contacts.command("show")
def contact_show(contact: str, as_json: AsJson = False) -> None:
    """What we know of a contact, and what they allow."""
    from sqlmodel import col, select

    from contacts.models import Address, Consent, Contact

    _, store = _opened()
    with store.read() as session:
        id_ = _contact(session, contact)
        person = session.get(Contact, id_)
        assert person is not None
        reached = session.exec(select(Address).where(col(Address.contact_id) == id_)).all()
        said = session.exec(select(Consent).where(col(Consent.contact_id) == id_).order_by(col(Consent.at))).all()
        data = {
            **person.model_dump(exclude_none=True),
            "addresses": {address.medium: address.value for address in reached},
            "consents": [c.model_dump(include={"medium", "topic", "granted", "basis", "source", "at"}) for c in said],
        }
    _say(as_json, data, lambda: out.print_json(json.dumps(data, default=str, ensure_ascii=False)))


@contacts.command("unsubscribe")
def contact_unsubscribe(
    contact: str,
    topic: Annotated[str, typer.Option(help="One topic; default: everything.")] = "*",
    medium: str = "email",
) -> None:
    """Write down a contact's no; nothing about the topic is sent to them from this moment on."""
    from contacts import consent
    from contacts.audience.words import MEDIA, is_medium
    from errors import did_you_mean

    if not is_medium(medium):
        raise Unknown(f"“{medium}” is not a medium{did_you_mean(medium, MEDIA)}")
    _, store = _opened()
    with store.write() as session:
        id_ = _contact(session, contact)
        new = consent.record(session, id_, medium, topic, False, at=_now(), source=_actor())
    about = "everything" if topic == "*" else topic
    out.print(f"Contact {id_} said no to {about} by {medium}." if new else f"That no already stands for contact {id_}.")


@database.command("upgrade")
def db_upgrade() -> None:
    """Bring the tables to this version."""
    from contacts.store import Store
    from settings import settings

    Store(settings().database).upgrade()
    out.print("The database is up to date.")


@app.command()
def schema() -> None:
    """Write docs/campaign.schema.json, by which editors complete campaign files."""
    from journeys.campaign import json_schema
    from settings import settings

    path = settings().home / "docs" / "campaign.schema.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json_schema(), encoding="utf-8")
    out.print(f"Written: {path}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def up(context: typer.Context) -> None:
    """Start everything: Prefect server, runner, web app and deployments; Ctrl-C ends it all."""
    _become("flows.up", context.args)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def demo(context: typer.Context) -> None:
    """A small shop with 5,000 contacts: everything starts, the spring campaign goes out. --once leaves after the report."""
    _become("flows.demo", context.args)


@app.command()
def web(host: str = "127.0.0.1", port: int = 8000) -> None:
    """The public pages, webhooks and the local mailbox alone."""
    import uvicorn

    _opened()
    uvicorn.run("web.app:app", host=host, port=port, log_level="warning")


def _become(module: str, arguments: list[str]) -> None:
    """The doors do not import each other: this process becomes the other one."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


def _house_now(own: Any) -> datetime:
    from zoneinfo import ZoneInfo

    return datetime.now(ZoneInfo(own.time_zone))


def _contact(session: Any, said: str) -> int:
    from sqlmodel import col, select

    from contacts.models import Address, Contact

    if said.isdigit():
        found = session.exec(select(col(Contact.id)).where(col(Contact.id) == int(said))).first()
    else:
        wanted = said.strip().lower().removeprefix("@")
        ids = set(session.exec(select(col(Address.contact_id)).where(col(Address.value) == wanted)).all())
        if len(ids) > 1:
            raise Unknown(f"“{said}” is an address of several contacts; use one of the numbers {sorted(ids)}.")
        found = next(iter(ids), None)
    if found is None:
        raise Unknown(f"There is no contact “{said}”.")
    return int(found)


def _table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print("None.")
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(_plain("" if value is None else str(value)) for value in row.values()))
    out.print(table)


def _report(found: Any) -> None:
    out.print(f"Launch {found.launch} of [bold]{found.campaign}[/bold]: {found.state}. {_plain(found.note)}")
    out.print(f"  audience {found.audience:,}")
    for medium, counts in found.media.items():
        out.print(f"  {medium}: " + ", ".join(f"{counts[state]:,} {state}" for state in counts))
    for medium, state in found.posts.items():
        out.print(f"  {medium} post: {_plain(state)}")
    for reason, count in sorted(found.reasons.items(), key=lambda pair: -pair[1]):
        out.print(f"    {count:,} {_plain(reason)}")


if __name__ == "__main__":
    main()
