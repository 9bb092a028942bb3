"""What several visitors write, in one transaction: each waits until it is on disk, and they share the one wait for the disk.

https://www.sqlite.org/faq.html#q19: a commit costs a disk's turn, however little is in it.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from sqlmodel import Session

from passaparola.store.database import Store
from passaparola.web import link_context

T = TypeVar("T")
Work = Callable[[Session], Any]
After = Callable[[Session, list[Any]], None]  # what is done once for all results of one kind, before they are on disk
MOST = 100


@dataclass
class Visit:
    """One visitor's work, and where its result is awaited."""

    work: Work
    loop: asyncio.AbstractEventLoop
    after: "After | None" = None
    done: "asyncio.Future[Any]" = field(init=False)

    def __post_init__(self) -> None:
        self.done = self.loop.create_future()

    def settle(self, result: Any = None, error: BaseException | None = None) -> None:
        def told() -> None:
            if not self.done.done():  # nobody waits any more
                self.done.set_exception(error) if error else self.done.set_result(result)

        self.loop.call_soon_threadsafe(told)


class Together:
    """A thread that writes, one transaction after the other, whatever has come since the last one began."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.visits: queue.SimpleQueue[Visit] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="together", daemon=True).start()

    async def write(self, work: Callable[[Session], T], after: After | None = None) -> T:
        """What `work` returned, once it is on disk. Raises what it raised, or the database."""
        visit = Visit(work, asyncio.get_running_loop(), after)
        self.visits.put(visit)
        result: T = await visit.done
        return result

    def _write(self) -> None:
        while True:
            visits = [self.visits.get()]
            while len(visits) < MOST and not self.visits.empty():
                visits.append(self.visits.get())
            try:
                self._all(visits)
            except BaseException as error:  # should this thread end, everybody would wait for ever
                for visit in visits:
                    visit.settle(error=error)

    def _all(self, visits: list[Visit]) -> None:
        """One that fails takes nobody with it: then each has a transaction of its own."""
        try:
            with self.store.write() as session:
                results = [visit.work(session) for visit in visits]
                for after in {visit.after for visit in visits if visit.after}:
                    after(
                        session, [result for visit, result in zip(visits, results, strict=True) if visit.after is after]
                    )
        except Exception as error:
            if len(visits) == 1:
                visits[0].settle(error=error)
            else:
                for visit in visits:
                    self._all([visit])
            return
        for visit, result in zip(visits, results, strict=True):
            visit.settle(result)


async def write(work: Callable[[Session], T], after: After | None = None) -> T:
    return await _of(link_context.store()).write(work, after)


@cache
def _of(store: Store) -> Together:
    return Together(store)
