"""How every command speaks: one sentence for a mistake, a table or JSON for an answer, and what it opens."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from errors import Unknown

out, err = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False, soft_wrap=True)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, for programs.")]


def plain(text: str) -> str:
    return text.replace("[", r"\[")


def opened() -> tuple[Any, Any]:
    from contacts.store import Store
    from settings import settings

    own = settings()
    return own, Store(own.database).open()


def now() -> datetime:
    return datetime.now(UTC)


def actor() -> str:
    return f"cli:{os.environ.get('USER') or 'operator'}"


def say(as_json: bool, data: Any, shown: Callable[[], None]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(data, ensure_ascii=False, default=str) + "\n")
    else:
        shown()


def house_now(own: Any) -> datetime:
    from zoneinfo import ZoneInfo

    return datetime.now(ZoneInfo(own.time_zone))


def contact_id(session: Any, said: str) -> int:
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
    from contacts.merging import resolve

    return resolve(session, int(found))


def table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print("None.")
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(plain("" if value is None else str(value)) for value in row.values()))
    out.print(table)
