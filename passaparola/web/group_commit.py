"""Write what several visitors bring in one transaction: each waits until it is on disk, and they share the one wait
for it.

https://www.sqlite.org/faq.html#q19: a commit costs a disk's turn, however little is in it.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from sqlmodel import Session

from passaparola.inbound.link_events import NewLinkEvent, store_link_events
from passaparola.inbound.store import NewBody, store_bodies
from passaparola.store.database import Store
from passaparola.web import link_context

T = TypeVar("T")
R = TypeVar("R")
MAX_GROUP = 500


@dataclass(frozen=True)
class PendingWrite(Generic[T]):
    """One request's item, and the future of its result."""

    item: T
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Any]"


class GroupCommit(Generic[T, R]):
    """A thread that writes, in one transaction after the other, whatever has come since the last one began.
    `write_all` writes items in a transaction and returns a result for each, in their order."""

    def __init__(self, store: Store, write_all: Callable[[Session, Sequence[T]], Sequence[R]]) -> None:
        self.store, self.write_all = store, write_all
        self.pending: queue.SimpleQueue[PendingWrite[T]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="group-commit", daemon=True).start()

    async def write(self, item: T) -> R:
        """Return the item's result once it is on disk. Raises what writing it raised, or the database."""
        loop = asyncio.get_running_loop()
        pending = PendingWrite(item, loop, loop.create_future())
        self.pending.put(pending)
        result: R = await pending.done
        return result

    def _run(self) -> None:
        while True:
            group = [self.pending.get()]
            while len(group) < MAX_GROUP and not self.pending.empty():
                group.append(self.pending.get())
            try:
                self._write(group)
            except BaseException as error:  # should this thread end, everybody would wait for ever
                _settle(group, [error] * len(group))

    def _write(self, group: list[PendingWrite[T]]) -> None:
        """Write a group. Where one item fails, each gets a transaction of its own, so that the others do not fail
        with it."""
        try:
            with self.store.write() as session:
                results: Sequence[Any] = self.write_all(session, [pending.item for pending in group])
        except Exception as error:
            if len(group) == 1:
                _settle(group, [error])
            else:
                for pending in group:
                    self._write([pending])
            return
        _settle(group, results)


def _settle(group: Sequence[PendingWrite[Any]], results: Sequence[Any]) -> None:
    """Wake all who wait on one loop with one call, as each call writes to the loop's own pipe."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for pending, result in zip(group, results, strict=True):
        by_loop.setdefault(pending.loop, []).append((pending.done, result))
    for loop, outcomes in by_loop.items():
        loop.call_soon_threadsafe(_resolve, outcomes)


def _resolve(outcomes: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
    for future, result in outcomes:
        if future.done():  # nobody waits any more
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


async def store_body(body: NewBody) -> bool:
    """Store a delivery. Return False where it was here already."""
    return await _bodies(link_context.store()).write(body)


async def store_link_event(event: NewLinkEvent) -> None:
    """Store a followed link."""
    await _link_events(link_context.store()).write(event)


@cache
def _bodies(store: Store) -> GroupCommit[NewBody, bool]:
    return GroupCommit(store, store_bodies)


@cache
def _link_events(store: Store) -> GroupCommit[NewLinkEvent, None]:
    return GroupCommit(store, store_link_events)
