"""ASGI server with header time-outs and connection limits: slow clients and floods are disconnected.

python -m passaparola.web.server [--host 127.0.0.1] [--port 8000]. uvicorn itself never closes a connection whose
headers do not come, and its limit on connections locks out everybody else; so do Granian's and Hypercorn's
(tests/web/test_kept_servers.py). Bodies have a deadline of their own, in webhooks.py.
"""

import argparse
import asyncio
from collections import Counter
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from passaparola.operations import logs

HEADER_TIMEOUT_SECONDS = 10.0  # seconds until a request's headers are there, and between two requests of a connection
MAX_CONNECTIONS_PER_ADDRESS = 200  # connections at once; a proxy in front has its own limits, and one address
MAX_CONNECTIONS = 700  # of the 1,024 files that a process may open as a rule; then who has dawdled longest makes room
MAX_HEAD_BYTES = 64 * 1024  # bytes of address and headers; the parser itself knows no limit


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a deadline for headers, a limit to them, and a share of the connections for each address."""

    open: ClassVar[dict["PatientProtocol", None]] = {}  # the oldest first
    per_address: ClassVar[Counter[str]] = Counter()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self.per_address[self.address] += 1
        self.open[self] = None
        self.deadline: asyncio.TimerHandle | None = None
        self.head, self.is_waiting = 0, True
        if self.per_address[self.address] > MAX_CONNECTIONS_PER_ADDRESS:
            transport.abort()
            return
        if len(self.open) > MAX_CONNECTIONS:
            self._drop_slowest()
        self._start_deadline()

    def _drop_slowest(self) -> None:
        slowest = next(
            (connection for connection in self.open if connection is not self and connection.is_waiting), self
        )
        slowest.open.pop(slowest, None)
        slowest.transport.abort()

    def on_message_begin(self) -> None:
        self.head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._fits_head(len(url)):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._fits_head(len(name) + len(value)):
            super().on_header(name, value)

    def _fits_head(self, more: int) -> bool:
        self.head += more
        if self.head > MAX_HEAD_BYTES:
            self.transport.abort()
        return self.head <= MAX_HEAD_BYTES

    def on_headers_complete(self) -> None:
        self._clear_deadline()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.is_waiting = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.is_waiting = True
        super().on_response_complete()
        if not self.transport.is_closing():
            self._start_deadline()

    def connection_lost(self, error: Exception | None) -> None:
        self._clear_deadline()
        self.open.pop(self, None)
        self.per_address[self.address] -= 1
        if self.per_address[self.address] <= 0:
            del self.per_address[self.address]
        super().connection_lost(error)

    def _start_deadline(self) -> None:
        self._clear_deadline()
        self.deadline = self.loop.call_later(HEADER_TIMEOUT_SECONDS, self.transport.abort)

    def _clear_deadline(self) -> None:
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
        http=PatientProtocol,
        timeout_keep_alive=5,
    )


if __name__ == "__main__":
    main()
