"""How commands print: to standard output, to standard error, and as tables."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console


class LazyConsole:
    """A console that is made when something is printed: half of a short command's time would go to importing it."""

    def __init__(self, *, stderr: bool = False) -> None:
        self.stderr = stderr

    @cached_property
    def console(self) -> "Console":
        from rich.console import Console

        return Console(stderr=self.stderr, highlight=False, soft_wrap=True)

    def print(self, text: object) -> None:
        self.console.print(text)

    def print_json(self, text: str) -> None:
        self.console.print_json(text)


out, err = LazyConsole(), LazyConsole(stderr=True)


def without_markup(text: str) -> str:
    """Escape what rich would read as a style."""
    return text.replace("[", r"\[")


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows as a table, one column for each key of the first; without a column that is empty in all of them."""
    if not rows:
        out.print("None.")
        return
    from rich import box
    from rich.table import Table

    names = [name for name in rows[0] if any(row[name] not in (None, "") for row in rows)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        numeric = all(isinstance(row[name], int | float) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(without_markup("" if row[name] is None else str(row[name])) for name in names))
    out.console.print(table, soft_wrap=False)


def group(help_: str, **more: Any) -> typer.Typer:
    """Make a group of commands. Plain help: drawing boxes around it takes longer than all the rest."""
    return typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=help_, **more)
