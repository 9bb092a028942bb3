"""The command itself, with which every module of commands registers."""

from typing import Annotated

import typer

from passaparola.cli.output import group, out

app = group("Campaigns that talk and listen.", add_completion=True, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        out.print(f"passaparola {version('passaparola')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Campaigns that talk and listen."""
