"""The decorator that makes a function a command: it is given the open store, and its result is shown or dumped."""

import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passaparola.cli.output import out, print_table
from passaparola.errors import PassaparolaError, Unknown

if TYPE_CHECKING:
    from sqlmodel import Session

    from passaparola.settings import Settings
    from passaparola.store.database import Store

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, for programs.")]


class CommandContext:
    """What a command works with: the project's settings, its store, the clock, and who typed the command."""

    def __init__(self, settings: "Settings", *, as_json: bool = False) -> None:
        self.settings, self.as_json = settings, as_json

    @cached_property
    def store(self) -> "Store":
        """Open the project's store, as soon as it is used. Raises Misconfigured."""
        from passaparola.store.database import Store

        return Store(self.settings.database).open()

    def close(self) -> None:
        """Close the store, if it was used."""
        if "store" in self.__dict__:
            self.store.close()

    @property
    def actor(self) -> str:
        return f"cli:{os.environ.get('USER') or 'operator'}"

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def house_now(self) -> datetime:
        """Return now on the house's clock, by which questions with dates are asked."""
        from zoneinfo import ZoneInfo

        return datetime.now(ZoneInfo(self.settings.time_zone))

    def format_time(self, at: datetime, *, seconds: bool = False) -> str:
        """Format an instant on the house's clock, as everything that people read here."""
        from passaparola import clock

        return clock.format_local(at, self.settings.time_zone, "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


@dataclass(frozen=True)
class Result:
    """What a command answers: `data` for programs, `show` for people. With a `failure` the exit code is 1; one that
    has words is printed as an error, an empty one has been shown already."""

    data: object
    show: Callable[[], None]
    failure: str | None = None

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, object]]) -> "Result":
        return cls(rows, lambda: print_table(rows))


def command(group: typer.Typer, name: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a command.

    A parameter `context` is filled in with a CommandContext. A function that returns a `Result` gets the option
    `--json`; one that returns a `str` prints that sentence.
    """

    def register(function: Callable[..., Result | str | None]) -> Callable[..., Result | str | None]:
        signature = inspect.signature(function)
        gives_data = signature.return_annotation is Result

        def run(**given: object) -> None:
            as_json = bool(given.pop("as_json", False))
            if "context" not in signature.parameters:
                return _answer(function(**given), as_json)
            from passaparola.settings import get_settings

            context = CommandContext(get_settings(), as_json=as_json)
            try:
                _answer(function(context=context, **given), as_json)
            finally:
                context.close()

        _describe(run, function, signature, gives_data)
        group.command(name or function.__name__.rstrip("_"))(run)
        return function

    return register


def _describe(
    run: Callable[..., None], function: Callable[..., object], signature: inspect.Signature, gives_data: bool
) -> None:
    """Give the registered function what typer reads of it: name, help, and parameters without `context`."""
    options = [parameter for name, parameter in signature.parameters.items() if name != "context"]
    if gives_data:
        json_option = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson)
        options = [*(option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in options), json_option]
    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__annotations__ = {option.name: option.annotation for option in options}
    run.__signature__ = signature.replace(parameters=options, return_annotation=None)  # type: ignore[attr-defined]


def _answer(result: Result | str | None, as_json: bool) -> None:
    if isinstance(result, str):
        out.print(result)
    if not isinstance(result, Result):
        return
    if as_json:
        sys.stdout.write(json.dumps(result.data, ensure_ascii=False, default=str) + "\n")
    else:
        result.show()
    if result.failure:
        raise PassaparolaError(result.failure)
    if result.failure is not None:
        raise typer.Exit(1)


def find_contact(session: "Session", text: str) -> int:
    """Find a contact by number or address; of two that are one, the one that was kept. Raises Unknown."""
    from sqlmodel import col, select

    from passaparola.contacts.merging import resolve_contact
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
    return resolve_contact(session, int(id_))
