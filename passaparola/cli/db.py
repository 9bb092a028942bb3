"""passaparola db …, passaparola doctor: the store's tables, its copies, its months; and whether all that is needed is there."""

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
    """After a backup was put back: whatever it still holds as unsent may have been sent since, and is parked until evidence
    decides. Run it before anything is sent again."""
    from passaparola.outbox import restored

    _, store = open_store()
    count = restored.mark_restored(store, now())
    out.print(f"{count:,} batches are in doubt now. `passaparola deliver` asks the providers what became of them.")


@database.command("backup")
def db_backup(file: Annotated[Path, typer.Argument(help="Where to; nothing is overwritten.")]) -> None:
    """A whole copy of a SQLite store while everything goes on. PostgreSQL has tools of its own."""
    _, store = open_store()
    store.backup(file)
    out.print(f"Copied to {file}. After it was put back: passaparola db mark-restored")


@database.command("partitions")
def db_partitions(as_json: AsJson = False) -> None:
    """The partitions of what happened, on PostgreSQL: one for each month in which it came to be known."""
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

    own, store = open_store()
    name, people = partitions.detach(store, month, recount=recounting(own.currency), actor=actor(), now=now())
    out.print(f"{name} is a table of its own now; what {people:,} contacts did is counted without it.")


def doctor(as_json: AsJson = False) -> None:
    """Whether all that is needed is there: store, keys, secrets, address, sender's domain, clock, disk. 1: something is wrong."""
    from passaparola.operations import doctor

    found = doctor.run_checks()
    marks = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]", "error": "[red]✗[/red]"}

    def shown() -> None:
        for one in found:
            out.print(f"{marks[one.state]} {one.what:16} {without_markup(one.summary)}")

    emit(as_json, [vars(one) for one in found], shown)
    if any(one.state == "error" for one in found):
        sys.exit(1)
