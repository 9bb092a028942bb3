"""docs/commands.md and docs/tables.md, written from the code: python -m docs.reference"""

import re
import textwrap
from pathlib import Path

from sqlmodel import SQLModel
from typer.cli import get_docs_for_click
from typer.main import get_command

from passaparola.cli.main import app
from passaparola.store import models

DOCS = Path(__file__).parent


def main() -> None:
    for name, text in {"commands.md": commands(), "tables.md": tables()}.items():
        (DOCS / name).write_text(text, encoding="utf-8")


def commands() -> str:
    """Every command with its help, as `passaparola COMMAND --help` says it."""
    import click

    group = get_command(app)
    written = get_docs_for_click(obj=group, ctx=click.Context(group, info_name="passaparola"), name="passaparola")
    return written.replace("# `passaparola`", "# Commands", 1)


def tables() -> str:
    """Every table of the store: what a row is, and its columns."""
    lines = [
        "# Tables",
        "",
        "The contact store, as `passaparola/store/models/` declares it. Instants are UTC, amounts minor units.",
        "",
    ]
    classes = {
        mapper.local_table.name: mapper.class_  # type: ignore[attr-defined]
        for mapper in SQLModel._sa_registry.mappers
        if mapper.class_.__module__.startswith(models.__name__)
    }
    for name, table in SQLModel.metadata.tables.items():
        doc = re.sub(r"\s+", " ", textwrap.dedent(classes[name].__doc__ or "")).strip()
        columns = ", ".join(f"`{column.name}`" for column in table.columns)
        lines += [f"## {name}", "", doc, "", columns, ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
