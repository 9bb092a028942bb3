"""The store and the installation on the command line: tables, copies, months; and whether all that is needed is
there."""

from pathlib import Path
from typing import Annotated

import typer

from passaparola.cli.app import app
from passaparola.cli.command import CommandContext, Result, command
from passaparola.cli.output import group, out, without_markup

database = group("The contact store's tables, copies and months.")


@command(database, "upgrade")
def db_upgrade() -> str:
    """Bring the tables to this version."""
    from passaparola.settings import get_settings
    from passaparola.store.database import Store

    Store(get_settings().database).upgrade()
    return "The database is up to date."


@command(database, "mark-restored")
def db_mark_restored(context: CommandContext) -> str:
    """Park what a restored backup holds as unsent: it may have been sent since. Run it before anything is sent
    again."""
    from passaparola.outbox import restored

    count = restored.mark_restored(context.store, context.now)
    return f"{count:,} batches are unknown now. `passaparola deliver` asks the providers what became of them."


@command(database, "backup")
def db_backup(
    context: CommandContext, file: Annotated[Path, typer.Argument(help="Where to; nothing is overwritten.")]
) -> str:
    """Copy a SQLite store while everything goes on. PostgreSQL has tools of its own."""
    context.store.backup(file)
    return f"Copied to {file}. After it was put back: passaparola db mark-restored"


@command(database, "partitions")
def db_partitions(context: CommandContext) -> Result:
    """List the monthly partitions of events, on PostgreSQL."""
    from passaparola.store import partitions

    partitions.create_ahead(context.store, context.now)
    return Result.of_rows([vars(month) for month in partitions.list_partitions(context.store)])


@command(database, "detach")
def db_detach(
    context: CommandContext,
    month: Annotated[str, typer.Argument(help="Such as 2026-03; `db partitions` lists them.")],
) -> str:
    """Take a month out of the store. It stays as a table of its own, and counts for no audience any more."""
    from passaparola.contacts.activity import recounting
    from passaparola.store import partitions

    recount = recounting(context.settings.currency)
    name, people = partitions.detach(context.store, month, recount=recount, actor=context.actor, now=context.now)
    return f"{name} is a table of its own now; what {people:,} contacts did is counted without it."


@command(app)
def doctor() -> Result:
    """Check all that is needed: store, keys, secrets, address, sender's domain, clock, disk. Exit code 1: something
    is wrong."""
    from passaparola.operations import doctor

    checks = doctor.run_checks()
    marks = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]", "error": "[red]✗[/red]"}

    def show() -> None:
        for check in checks:
            out.print(f"{marks[check.state]} {check.what:16} {without_markup(check.summary)}")

    is_wrong = any(check.state == "error" for check in checks)
    return Result([vars(check) for check in checks], show, failure="" if is_wrong else None)
