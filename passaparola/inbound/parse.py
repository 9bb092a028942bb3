"""What came in, read: most bodies at once, a letter by a process of its own that is ended when it takes too long.

A letter's length, its nesting and its lines are its writer's, and no parser of letters is safe from all of them.
"""

import os
import threading
from collections.abc import Mapping
from concurrent.futures import TimeoutError as Late
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context
from typing import Any

from pebble import ProcessExpired, ProcessPool

from passaparola.channel import registry
from passaparola.channel.receiver import ParseResult
from passaparola.store.models import RawBody

DEADLINE = 10.0  # seconds for one body
TOO_LONG = f"not read: it took longer than {DEADLINE:g} seconds"
OURS = "PASSAPAROLA_"
_turn = threading.Lock()


def read(row: RawBody) -> ParseResult:
    """What a body says. Whatever it does to its reader is a problem of that body alone."""
    headers, body = {**row.headers, ":at": row.received_at.isoformat()}, bytes(row.body)
    try:
        ear = registry.receiver_class(row.source)
        return _apart(row.source, headers, body) if ear.needs_deadline else ear().parse(headers, body)
    except Late:
        return ParseResult(problems=[TOO_LONG])
    except Exception as error:
        return ParseResult(
            problems=[str(error) if type(error) is ValueError else f"not understood ({type(error).__name__})"]
        )


def _apart(source: str, headers: Mapping[str, str], body: bytes) -> ParseResult:
    """Raises TimeoutError; ProcessExpired: the reader died of it; what the ear raised."""
    own = {name: value for name, value in os.environ.items() if name.startswith(OURS)}
    with _turn:
        try:
            found: ParseResult = _readers().schedule(_hear, (own, source, headers, body), timeout=DEADLINE).result()
        except ProcessExpired as error:
            raise ValueError(f"not read: its reader ended ({error.exitcode})") from None
        except (BrokenProcessPool, RuntimeError):  # no reader could be started: the next letter gets new ones
            _readers.cache_clear()
            raise
    return found


@cache
def _readers() -> Any:
    # Not forked: this process has threads and connections. https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods
    return ProcessPool(max_workers=1, context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """The reader's: it imports before the clock of its first letter runs."""
    registry.receiver_names()


def _hear(environment: Mapping[str, str], source: str, headers: Mapping[str, str], body: bytes) -> ParseResult:
    from passaparola.settings import get_settings

    standing = {name: value for name, value in os.environ.items() if name.startswith(OURS)}
    if standing != environment:
        for name in standing:
            del os.environ[name]
        os.environ.update(environment)
        get_settings.cache_clear()
    return registry.receiver_class(source)().parse(headers, body)
