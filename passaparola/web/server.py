"""The web app behind a door that waits for nobody: who is slow to say what they want, or comes with a crowd, is
shown out.

python -m web.serve [--host 127.0.0.1] [--port 8000]. uvicorn itself never closes a connection whose headers do not come,
and its limit on connections locks out everybody else. Bodies have their own deadline, in hooks.py.
"""

import argparse
import asyncio
from collections import Counter
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from passaparola.operations import logs

HEADERS_WITHIN = 10.0  # seconds until a request's headers are there, and between two requests of a connection
PER_ADDRESS = 200  # connections at once; a proxy in front has its own limits, and one address
OUT_OF_ALL = 700  # of the 1,024 files that a process may open as a rule; then who has dawdled longest makes room
LONGEST_HEAD = 64 * 1024  # bytes of address and headers; the parser itself knows no limit


class Patient(HttpToolsProtocol):
    """HTTP/1.1 with a deadline for headers, a limit to them, and a fair share of the connections."""

    open: ClassVar[dict["Patient", None]] = {}  # the oldest first
    per_address: ClassVar[Counter[str]] = Counter()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self.per_address[self.address] += 1
        self.open[self] = None
        self.deadline: asyncio.TimerHandle | None = None
        self.head, self.dawdling = 0, True
        if self.per_address[self.address] > PER_ADDRESS:
            transport.abort()
            return
        if len(self.open) > OUT_OF_ALL:
            self._make_room()
        self._wait()

    def _make_room(self) -> None:
        slowest = next((one for one in self.open if one is not self and one.dawdling), self)
        slowest.open.pop(slowest, None)
        slowest.transport.abort()

    def on_message_begin(self) -> None:
        self.head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._holds(len(url)):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._holds(len(name) + len(value)):
            super().on_header(name, value)

    def _holds(self, more: int) -> bool:
        self.head += more
        if self.head > LONGEST_HEAD:
            self.transport.abort()
        return self.head <= LONGEST_HEAD

    def on_headers_complete(self) -> None:
        self._waited()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.dawdling = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.dawdling = True
        super().on_response_complete()
        if not self.transport.is_closing():
            self._wait()

    def connection_lost(self, error: Exception | None) -> None:
        self._waited()
        self.open.pop(self, None)
        self.per_address[self.address] -= 1
        if self.per_address[self.address] <= 0:
            del self.per_address[self.address]
        super().connection_lost(error)

    def _wait(self) -> None:
        self._waited()
        self.deadline = self.loop.call_later(HEADERS_WITHIN, self.transport.abort)

    def _waited(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None


def main() -> None:
    parser = argparse.ArgumentParser(description="The public pages, webhooks, the console and the local mailbox.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    logs.configure_logging()
    uvicorn.run(
        "passaparola.web.app:app",
        host=given.host,
        port=given.port,
        log_level="warning",
        log_config=None,
        http=Patient,
        timeout_keep_alive=5,
    )


if __name__ == "__main__":
    main()
