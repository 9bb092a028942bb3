"""Draining the outbox: reserve, call once, record; any number of workers may do it at once."""

import asyncio
import math
import os
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from passaparola.channel.registry import sender_class
from passaparola.channel.sender import Sender, SendResult
from passaparola.errors import Blocked, ChannelError, Misconfigured, Unavailable, Uncertain
from passaparola.failpoints import failpoint
from passaparola.outbox.claim import ReservedBatch, reserve_batch
from passaparola.outbox.finish import finish_launches, next_due
from passaparola.outbox.read_back import confirm_visible
from passaparola.outbox.record import record_outcome
from passaparola.settings import Settings
from passaparola.store.bulk import relaxed_gc
from passaparola.store.database import Store, retry_while_db_unavailable, utc_now

T = TypeVar("T")


def run_on_uvloop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop, which takes half the time for the same bytes; on asyncio's loop where there is
    none (Windows)."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass
class Drain:
    """One worker's share of the outbox, in a few lanes, each with one batch in hand at a time."""

    store: Store
    settings: Settings
    launch: int | None = None
    concurrency: int = (
        0  # default: what is set; one channel has all of them but one, so that who hangs holds up nobody else
    )
    wait_seconds: float = 0.0  # seconds for which a batch that is not due yet is waited for
    clock: Callable[[], datetime] = utc_now
    each: "Callable[[Drain], Awaitable[int]] | None" = None  # what a lane does again and again; default: `one`

    def __post_init__(self) -> None:
        self.concurrency = self.concurrency or self.settings.send_concurrency
        self.channels: dict[str, Sender] = {}
        self.outcomes: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()  # on their way now, by channel
        self.idle = asyncio.Event()  # nothing is on its way
        self.idle.set()
        self.stopping = False
        # Reserving and recording are our own work, one lane at a time: in turn they queue here instead of
        # trying SQLite's write lock again and again; what overlaps is the waiting for providers.
        self.turn = asyncio.Lock()

    async def run(self, progress: Callable[[str, int], None] = lambda outcome, size: None) -> Counter[str]:
        """Send until nothing is due. Return how many messages met which outcome."""
        self.progress = progress
        try:
            with relaxed_gc():
                ended = await asyncio.gather(
                    *(self._send_lane() for _ in range(self.concurrency)), return_exceptions=True
                )
            for error in ended:
                if isinstance(error, BaseException):
                    raise error
        finally:
            for channel in self.channels.values():
                await channel.close()
            await asyncio.to_thread(retry_while_db_unavailable(finish_launches), self.store, self.clock())
        return self.outcomes

    def stop(self) -> None:
        """Finish what is in hand, take nothing new."""
        self.stopping = True

    async def _send_lane(self) -> None:
        """Send batches in one lane. A failing lane lets the others finish their calls and begin no new one."""
        try:
            while not self.stopping:
                if await (self.each(self) if self.each else self.send_batch()):
                    continue
                if not await self._wait_until_due():
                    return
        except BaseException:
            self.stopping = True
            raise

    async def send_up_to(self, messages: int) -> int:
        """Send batches until they hold so many messages. Return how many they held; 0 when nothing is due."""
        sent = 0
        while sent < messages and not self.stopping and (count := await self.send_batch()):
            sent += count
        return sent

    async def send_batch(self) -> int:
        """Send one batch, from reservation to record. Return how many messages it holds; 0 when none is due."""
        async with self.turn:
            started = time.monotonic()
            reserved = await asyncio.to_thread(
                retry_while_db_unavailable(reserve_batch),
                self.store,
                self.settings,
                worker=worker_name(),
                now=self.clock(),
                launch=self.launch,
                busy=self._skip_channels(),
            )
            if reserved is None:
                return 0
            self._track_call(reserved.channel, 1)
        try:
            outcome = await self._call_provider(reserved, started)
        finally:
            self._track_call(reserved.channel, -1)
        failpoint("answered")
        async with self.turn:
            # The answer is known: as long as the database is away, it is worth waiting for.
            text = await asyncio.to_thread(
                retry_while_db_unavailable(record_outcome), self.store, reserved, outcome, self.clock()
            )
        failpoint("audited")
        size = len(reserved.dispatch.messages)
        self.outcomes[text] += size
        self.progress(text, size)
        return size

    def _skip_channels(self) -> list[str]:
        return [name for name, calls in self.calls.items() if calls >= max(self.concurrency - 1, 1)]

    def _track_call(self, channel: str, change: int) -> None:
        self.calls[channel] += change
        (self.idle.clear if self.calls.total() else self.idle.set)()

    async def _call_provider(self, reserved: ReservedBatch, started: float) -> SendResult | ChannelError:
        try:
            channel = self.channels.get(reserved.channel) or sender_class(reserved.channel)()
        except Misconfigured as error:
            return Blocked(str(error))
        except Exception as error:  # nothing was called yet; one channel that can't be made stops no other
            return Blocked(f"{reserved.channel} can't be made ready: {type(error).__name__}")
        self.channels[reserved.channel] = channel
        result = await self._send_and_confirm(channel, reserved, started)
        to_everybody = channel.public and not reserved.dispatch.messages[0].to_address
        if isinstance(result, SendResult) and to_everybody:
            return await confirm_visible(channel, result)
        return result

    async def _send_and_confirm(
        self, channel: Sender, reserved: ReservedBatch, started: float
    ) -> SendResult | ChannelError:
        if time.monotonic() - started > channel.timeout:
            # Frozen between the reservation and here, we may already have been given up; nothing was sent.
            return Unavailable("the worker was held up before the call", after=0)
        try:
            return await asyncio.wait_for(channel.send(reserved.dispatch), channel.timeout + 5)
        except ChannelError as error:
            return error
        except TimeoutError:
            return Uncertain(f"{reserved.channel} did not answer within {channel.timeout:.0f} seconds")
        except Exception as error:  # a fault of ours after the call began proves nothing about the provider
            return Uncertain(f"{type(error).__name__} in the channel {reserved.channel}")

    async def _wait_until_due(self) -> bool:
        """Wait until something is due that this lane may call. Messages of a busy channel are left to the lanes
        that call it."""
        while not self.stopping:
            until = await asyncio.to_thread(
                retry_while_db_unavailable(next_due), self.store, self.launch, self.clock(), self._skip_channels()
            )
            wait = (until - self.clock()).total_seconds() if until else math.inf
            if wait <= 0:
                await asyncio.sleep(0.05)  # another worker may have it in hand
                return True
            if wait <= self.wait_seconds:
                pause = min(wait, 1.0)
                self.wait_seconds -= pause / self.concurrency
                await asyncio.sleep(pause)
            elif self.idle.is_set():
                return False
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.idle.wait(), 1.0)
        return False
