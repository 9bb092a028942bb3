"""An open SMTP connection on which several commands are on their way at once (RFC 2920).

aiosmtplib greets, encrypts and authenticates; then the wire is taken over, since it, as the standard library, waits for
the answer to each of a message's four commands: a thousand messages a second is all that a processor does that way.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

import aiosmtplib

MAX_BUFFER_BYTES = 64 * 1024  # bytes of answers that nobody asked for


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """RFC 5321, 4.2: 2 done, 3 go on, 4 not now, 5 no."""

    code: int
    words: str

    def __str__(self) -> str:
        return f"{self.code} {self.words}"[:300]


class ConnectionBroken(Exception):
    """The connection is closed, or no answer comes."""


class Wire(asyncio.Protocol):
    """A connection: `write` sends, `reply` waits for the next answer; answers come in the order of the commands."""

    def __init__(self, transport: asyncio.Transport, pipelining: bool, timeout: float) -> None:
        self.transport, self.pipelining, self.timeout = transport, pipelining, timeout
        self.unread, self.words = bytearray(), ""
        self.replies: deque[SmtpReply] = deque()
        self.waiting: asyncio.Future[None] | None = None
        self.clock: asyncio.TimerHandle | None = None
        self.since, self.full, self.broken = 0.0, False, ""
        transport.set_protocol(self)

    @classmethod
    def over(cls, client: aiosmtplib.SMTP, timeout: float) -> "Wire":
        """Take over an open connection. Raises ConnectionBroken: it closed meanwhile."""
        if client.transport is None:
            raise ConnectionBroken("the connection closed")
        return cls(client.transport, client.supports_extension("pipelining"), timeout)  # type: ignore[arg-type]

    async def write(self, *pieces: bytes) -> None:
        if self.broken:
            raise ConnectionBroken(self.broken)
        self.transport.write(b"".join(pieces))
        while self.full and not self.broken:
            await self._woken()

    async def reply(self) -> SmtpReply:
        while not self.replies:
            if self.broken:
                raise ConnectionBroken(self.broken)
            await self._woken()
        return self.replies.popleft()

    async def _woken(self) -> None:
        """Wait until something happens. There is one clock for the whole wire: a timer for each wait would cost as
        much as the wait."""
        loop = asyncio.get_running_loop()
        self.waiting, self.since = loop.create_future(), loop.time()
        if self.clock is None:
            self.clock = loop.call_later(self.timeout, self._tick)
        await self.waiting

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        left = self.since + self.timeout - loop.time()
        self.clock = None
        if self.waiting is None or self.waiting.done():
            return
        if left > 0:
            self.clock = loop.call_later(left, self._tick)
        else:
            self._break(f"no answer within {self.timeout:.0f} seconds")

    def close(self) -> None:
        self.broken = self.broken or "the connection closed"
        if self.clock:
            self.clock.cancel()
        self.transport.close()

    # What asyncio calls

    def data_received(self, data: bytes) -> None:
        self.unread += data
        while (end := self.unread.find(b"\n")) >= 0:
            self._line(bytes(self.unread[:end]).rstrip(b"\r"))
            del self.unread[: end + 1]
        if len(self.unread) > MAX_BUFFER_BYTES or len(self.replies) > MAX_BUFFER_BYTES:
            self._break("it answers what nobody asked")
        elif self.replies:
            self._wake()

    def _line(self, line: bytes) -> None:
        code, sign, words = line[:3], line[3:4], line[4:].decode("utf-8", "replace")
        if not (code.isdigit() and b"200" <= code <= b"599" and sign in (b" ", b"-", b"")):
            self._break("it does not answer as RFC 5321 says")
            return
        text = f"{self.words} {words}".strip()[:1_000] if self.words else words
        self.words = text if sign == b"-" else ""
        if sign != b"-":
            clean = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
            self.replies.append(SmtpReply(int(code), clean))

    def _break(self, why: str) -> None:
        self.broken = self.broken or why
        self.transport.abort()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.broken = self.broken or (str(error) if error else "the server closed the connection")
        self._wake()

    def _wake(self) -> None:
        if self.waiting and not self.waiting.done():
            self.waiting.set_result(None)

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._wake()
