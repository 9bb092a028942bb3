"""Stage 3: parse a stored body into events, before anything is locked.

Most bodies are parsed at once; a stranger's email by a process of its own, which is ended when it takes too long: its
length, nesting and lines are up to its writer, and no email parser is safe from all of them.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as DeadlinePassed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from multiprocessing import get_context
from typing import Any

from pebble import ProcessExpired, ProcessPool

from passaparola.channel import registry
from passaparola.channel.receiver import InboundEvent, ParseResult
from passaparola.contacts.addresses import address_key, normalise_address
from passaparola.contacts.audience.words import is_medium
from passaparola.store.models import RawBody

DEADLINE_SECONDS = 10.0  # for one body
TIMED_OUT = f"not read: it took longer than {DEADLINE_SECONDS:g} seconds"
ENVIRONMENT_PREFIX = "PASSAPAROLA_"
_turn = threading.Lock()


@dataclass(slots=True)
class IncomingEvent:
    """One event of a body. `addresses` are normalised; `address_key` is the keyed hash of the one that feedback is
    about."""

    body_id: int
    source: str
    delivery: str
    received_at: datetime
    event: InboundEvent
    addresses: dict[str, str]
    address_key: str = ""

    @property
    def is_attributable(self) -> bool:
        """Return whether anything in it identifies a contact."""
        return bool(self.addresses or self.event.related_event or self.event.message)


@dataclass(frozen=True)
class ParsedBody:
    """What a body says. `problems` are sentences on what was not understood; with neither, there was nothing for us
    in it."""

    id: int
    events: Sequence[IncomingEvent]
    problems: Sequence[str] = ()
    timed_out: bool = False

    @property
    def state(self) -> str:
        """Return the state of the body once it is applied."""
        return "invalid" if self.problems else "applied" if self.events else "ignored"


def parse_body(row: RawBody, secret: str) -> ParsedBody:
    """Parse a stored body. Whatever it does to its parser is a problem of that body alone."""
    result = parse_raw(row)
    events, problems = [], list(result.problems)
    for event in result.events:
        incoming, wrong = _normalise(row, event, secret)
        problems += wrong
        if incoming.is_attributable:
            events.append(incoming)
        elif not wrong or not event.is_feedback:
            problems.append(f"{event.kind}: it does not say whose it is")
    return ParsedBody(row.id or 0, events, problems, TIMED_OUT in result.problems)


def parse_raw(row: RawBody) -> ParseResult:
    """Parse a body with its source's receiver, under a deadline where a stranger decides its length."""
    headers, body = {**row.headers, ":at": row.received_at.isoformat()}, bytes(row.body)
    try:
        receiver = registry.receiver_class(row.source)
        if receiver.needs_deadline:
            return _parse_apart(row.source, headers, body)
        return receiver().parse(headers, body)
    except DeadlinePassed:
        return ParseResult(problems=[TIMED_OUT])
    except Exception as error:
        reason = str(error) if type(error) is ValueError else f"not understood ({type(error).__name__})"
        return ParseResult(problems=[reason])


def _normalise(row: RawBody, event: InboundEvent, secret: str) -> tuple[IncomingEvent, list[str]]:
    """Normalise an event's addresses. Return it with what was wrong with them."""
    addresses, wrong = {}, []
    for medium, value in event.addresses.items():
        try:
            if not is_medium(medium):
                raise ValueError(f"“{medium[:20]}” is not a medium")
            addresses[medium] = normalise_address(medium, value, event.traits.get("country") or "IT")
        except ValueError as error:
            wrong.append(str(error))
    key = ""
    if event.is_feedback and (medium := next(iter(addresses), "")):
        key = address_key(secret, medium, addresses[medium])
    return IncomingEvent(row.id or 0, row.source, row.key, row.received_at, event, addresses, key), wrong


def _parse_apart(source: str, headers: Mapping[str, str], body: bytes) -> ParseResult:
    """Parse in a process of its own. Raises TimeoutError, ValueError where that process died, and what the receiver
    raised."""
    environment = {name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT_PREFIX)}
    with _turn:
        try:
            task = _parsers().schedule(_parse_there, (environment, source, headers, body), timeout=DEADLINE_SECONDS)
            result: ParseResult = task.result()
        except ProcessExpired as error:
            raise ValueError(f"not read: its reader ended ({error.exitcode})") from None
        except (BrokenProcessPool, RuntimeError):  # no process could be started: the next email gets new ones
            _parsers.cache_clear()
            raise
    return result


@cache
def _parsers() -> Any:
    # Not forked: this process has threads and connections.
    # https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods
    return ProcessPool(max_workers=1, context=get_context("spawn"), initializer=_warm_up)


def _warm_up() -> None:
    """Import in the parsing process before the clock of its first email runs."""
    registry.receiver_names()


def _parse_there(environment: Mapping[str, str], source: str, headers: Mapping[str, str], body: bytes) -> ParseResult:
    from passaparola.settings import get_settings

    set_before = {name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT_PREFIX)}
    if set_before != environment:
        for name in set_before:
            del os.environ[name]
        os.environ.update(environment)
        get_settings.cache_clear()
    return registry.receiver_class(source)().parse(headers, body)
