"""passaparola db …, passaparola doctor: the store's tables, its copies, its months; and whether all that is needed is there."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from passaparola.cli.output import AsJson, actor, group, now, opened, out, plain, say, table

database = group("The contact store's tables, copies and months.")


@database.command("upgrade")
def db_upgrade() -> None:
    """Bring the tables to this version."""
    from passaparola.settings import settings
    from passaparola.store.database import Store

    Store(settings().database).upgrade()
    out.print("The database is up to date.")


@database.command("restored")
def db_restored() -> None:
    """After a backup was put back: whatever it still holds as unsent may have been sent since, and is parked until evidence
    decides. Run it before anything is sent again."""
    from passaparola.outbox import restored

    _, store = opened()
    count = restored.doubt(store, now())
    out.print(f"{count:,} batches are in doubt now. `passaparola deliver` asks the providers what became of them.")


@database.command("backup")
def db_backup(file: Annotated[Path, typer.Argument(help="Where to; nothing is overwritten.")]) -> None:
    """A whole copy of a SQLite store while everything goes on. PostgreSQL has tools of its own."""
    _, store = opened()
    store.backup(file)
    out.print(f"Copied to {file}. After it was put back: passaparola db restored")


@database.command("months")
def db_months(as_json: AsJson = False) -> None:
    """The partitions of what happened, on PostgreSQL: one for each month in which it came to be known."""
    from passaparola.store import partitions

    _, store = opened()
    partitions.ahead(store, now())
    rows = [vars(month) for month in partitions.standing(store)]
    say(as_json, rows, lambda: table(rows))


@database.command("detach")
def db_detach(month: Annotated[str, typer.Argument(help="Such as 2026-03; `db months` lists them.")]) -> None:
    """Take a month out of the store. It stays as a table of its own, and counts for no audience any more."""
    from passaparola.contacts.activity import recounting
    from passaparola.store import partitions

    own, store = opened()
    name, people = partitions.detach(store, month, recount=recounting(own.currency), actor=actor(), now=now())
    out.print(f"{name} is a table of its own now; what {people:,} contacts did is counted without it.")


def doctor(as_json: AsJson = False) -> None:
    """Whether all that is needed is there: store, keys, secrets, address, sender's domain, clock, disk. 1: something is wrong."""
    from passaparola.operations import doctor

    found = doctor.examined()
    marks = {"well": "[green]✓[/green]", "odd": "[yellow]![/yellow]", "ill": "[red]✗[/red]"}

    def shown() -> None:
        for one in found:
            out.print(f"{marks[one.state]} {one.what:16} {plain(one.says)}")

    say(as_json, [vars(one) for one in found], shown)
    if any(one.state == "ill" for one in found):
        sys.exit(1)
