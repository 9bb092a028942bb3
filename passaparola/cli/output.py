"""How every command speaks: one sentence for a mistake, a table or JSON for an answer, and what it opens."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passaparola.errors import Unknown

if TYPE_CHECKING:
    from rich.console import Console


class LazyConsole:
    """A console that is made when something is said: half of a short command's time would go to importing it."""

    def __init__(self, *, aside: bool = False) -> None:
        self.aside = aside

    @cached_property
    def console(self) -> "Console":
        from rich.console import Console

        return Console(stderr=self.aside, highlight=False, soft_wrap=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.console, name)


out, err = LazyConsole(), LazyConsole(aside=True)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, for programs.")]


def without_markup(text: str) -> str:
    return text.replace("[", r"\[")


def open_store() -> tuple[Any, Any]:
    from passaparola.settings import get_settings
    from passaparola.store.database import Store

    settings = get_settings()
    return settings, Store(settings.database).open()


def now() -> datetime:
    return datetime.now(UTC)


def actor() -> str:
    return f"cli:{os.environ.get('USER') or 'operator'}"


def emit(as_json: bool, data: Any, shown: Callable[[], None]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(data, ensure_ascii=False, default=str) + "\n")
    else:
        shown()


def house_now(settings: Any) -> datetime:
    from zoneinfo import ZoneInfo

    return datetime.now(ZoneInfo(settings.time_zone))


def format_time(settings: Any, at: datetime, *, seconds: bool = False) -> str:
    """Format an instant on the house's clock, as everything that people read here."""
    from passaparola import clock

    return clock.format_local(at, settings.time_zone, "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def contact_id(session: Any, text: str) -> int:
    from sqlmodel import col, select

    from passaparola.store.models import Address, Contact

    if text.isdigit():
        id_ = session.exec(select(col(Contact.id)).where(col(Contact.id) == int(text))).first()
    else:
        wanted = text.strip().lower().removeprefix("@")
        ids = set(session.exec(select(col(Address.contact_id)).where(col(Address.value) == wanted)).all())
        if len(ids) > 1:
            raise Unknown(f"“{text}” is an address of several contacts; use one of the numbers {sorted(ids)}.")
        id_ = next(iter(ids), None)
    if id_ is None:
        raise Unknown(f"There is no contact “{text}”.")
    from passaparola.contacts.merging import resolve_contact

    return resolve_contact(session, int(id_))


def table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print("None.")
        return
    from rich.table import Table

    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(without_markup("" if value is None else str(value)) for value in row.values()))
    out.print(table)


def group(help_: str, **more: Any) -> typer.Typer:
    """Make a group of commands. Plain help: drawing boxes around it takes longer than all the rest."""
    return typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=help_, **more)
