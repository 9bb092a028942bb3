"""Files of people, brought in from the command line."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passaparola.cli.app import app
from passaparola.cli.command import CommandContext, Result, command
from passaparola.cli.output import err, out
from passaparola.errors import NotAllowed

if TYPE_CHECKING:
    from passaparola.contacts.imports.columns import ColumnMapping
    from passaparola.contacts.imports.importing import Import
    from passaparola.contacts.imports.plan import ImportTally


@command(app, "import")
def import_(
    context: CommandContext,
    file: Annotated[Path, typer.Argument(help="CSV of any common encoding and delimiter, or XLSX.")],
    mapping: Annotated[Path | None, typer.Option(help="YAML that says what each column is.")] = None,
    show_mapping: Annotated[
        bool, typer.Option("--show-mapping", help="Print the guessed mapping as YAML and stop.")
    ] = False,
    consent: Annotated[list[str] | None, typer.Option(help="A topic that everyone in the file said yes to.")] = None,
    source: Annotated[str, typer.Option(help="Where and how they said it; needed with --consent.")] = "",
) -> Result:
    """Bring people, their consents and their purchases in. The same file again changes nothing."""
    from passaparola.contacts.imports.columns import guess_columns
    from passaparola.contacts.imports.importing import Import
    from passaparola.contacts.imports.tables import open_table

    if consent and not source:
        raise NotAllowed("--consent needs --source TEXT: where and how these people said yes.")
    with open_table(file) as rows:
        header = rows.header
    if show_mapping:
        guessed = {"columns": guess_columns(header)}
        return Result(guessed, lambda: _show_mapping(guessed))
    plan = Import(context.store, context.settings, file, _read_mapping(mapping, header), tuple(consent or ()), source)
    tally = _run_with_progress(plan, context)
    return Result(vars(tally), lambda: _show_tally(tally))


def _show_mapping(guessed: dict[str, dict[str, str]]) -> None:
    import yaml

    sys.stdout.write(yaml.safe_dump(guessed, sort_keys=False, allow_unicode=True))


def _read_mapping(mapping: Path | None, header: list[str]) -> "ColumnMapping":
    """Read the mapping file, or guess one from the header. Raises BadContent."""
    import yaml

    from passaparola.contacts.imports.columns import ColumnMapping, guess_columns
    from passaparola.content import from_yaml

    if mapping:
        return from_yaml(mapping.read_text(encoding="utf-8"), ColumnMapping, str(mapping))
    guessed = yaml.safe_dump({"columns": guess_columns(header)})
    return from_yaml(guessed, ColumnMapping, "the guessed mapping (see --show-mapping)")


def _run_with_progress(plan: "Import", context: CommandContext) -> "ImportTally":
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    rows = TextColumn("{task.fields[rows]:,} rows")
    columns = [TextColumn("{task.description}"), BarColumn(), rows, TimeRemainingColumn()]
    console = err.console
    with Progress(*columns, console=console, disable=context.as_json or not console.is_terminal) as bar:
        task = bar.add_task(plan.path.name, total=plan.path.stat().st_size or 1, rows=0)
        return plan.run(context.now, lambda rows, at: bar.update(task, completed=at, rows=rows))


def _show_tally(tally: "ImportTally") -> None:
    out.print(
        f"{tally.rows:,} rows: {tally.new:,} new, {tally.changed:,} changed, {tally.unchanged:,} as they were, "
        f"{tally.rejected:,} not taken; {tally.consents:,} consents, {tally.purchases:,} purchases."
    )
    if tally.refused:
        out.print(f"{tally.refused:,} rows say no to being written to: none of them is a yes, whatever --consent says.")
    if tally.shared:
        out.print(f"{tally.shared:,} rows name a telephone or a handle that is somebody else's; it stays theirs.")
    if tally.rejects:
        out.print(f"What was not taken, and why: {tally.rejects}")
    if not tally.consents and not tally.unchanged:
        out.print("Nobody may be written to yet: the file has no consent column, and --consent was not given.")
