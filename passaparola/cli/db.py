"""passaparola db …, passaparola doctor: the store's tables, its copies, its months; and whether all that is needed
is there."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from passaparola.cli.output import AsJson, actor, emit, group, now, open_store, out, table, without_markup

database = group("The contact store's tables, copies and months.")


@database.command("upgrade")
def db_upgrade() -> None:
    """Bring the tables to this version."""
    from passaparola.settings import get_settings
    from passaparola.store.database import Store

    Store(get_settings().database).upgrade()
    out.print("The database is up to date.")


@database.command("mark-restored")
def db_mark_restored() -> None:
    """Park what a restored backup holds as unsent: it may have been sent since. Run it before anything is sent
    again."""
    from passaparola.outbox import restored

    _, store = open_store()
    count = restored.mark_restored(store, now())
    out.print(f"{count:,} batches are in doubt now. `passaparola deliver` asks the providers what became of them.")


@database.command("backup")
def db_backup(file: Annotated[Path, typer.Argument(help="Where to; nothing is overwritten.")]) -> None:
    """Copy a SQLite store while everything goes on. PostgreSQL has tools of its own."""
    _, store = open_store()
    store.backup(file)
    out.print(f"Copied to {file}. After it was put back: passaparola db mark-restored")


@database.command("partitions")
def db_partitions(as_json: AsJson = False) -> None:
    """List the monthly partitions of events, on PostgreSQL."""
    from passaparola.store import partitions

    _, store = open_store()
    partitions.create_ahead(store, now())
    rows = [vars(month) for month in partitions.list_partitions(store)]
    emit(as_json, rows, lambda: table(rows))


@database.command("detach")
def db_detach(month: Annotated[str, typer.Argument(help="Such as 2026-03; `db partitions` lists them.")]) -> None:
    """Take a month out of the store. It stays as a table of its own, and counts for no audience any more."""
    from passaparola.contacts.activity import recounting
    from passaparola.store import partitions

    settings, store = open_store()
    name, people = partitions.detach(store, month, recount=recounting(settings.currency), actor=actor(), now=now())
    out.print(f"{name} is a table of its own now; what {people:,} contacts did is counted without it.")


def doctor(as_json: AsJson = False) -> None:
    """Check all that is needed: store, keys, secrets, address, sender's domain, clock, disk. Exit code 1: something
    is wrong."""
    from passaparola.operations import doctor

    checks = doctor.run_checks()
    marks = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]", "error": "[red]✗[/red]"}

    def shown() -> None:
        for check in checks:
            out.print(f"{marks[check.state]} {check.what:16} {without_markup(check.summary)}")

    emit(as_json, [vars(result) for result in checks], shown)
    if any(result.state == "error" for result in checks):
        sys.exit(1)
