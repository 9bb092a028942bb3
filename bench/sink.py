"""Where everything goes: reads a request to its end and answers 202.

python -m bench.sink       prints its port; ends with its standard input
"""

import asyncio
import sys

ANSWER = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: sink\r\nContent-Length: 0\r\n\r\n"


class Sink(asyncio.Protocol):
    def __init__(self) -> None:
        self.buffer = bytearray()
        self.missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Headers are looked at once per request, the body only counted."""
        while data:
            if self.missing:
                self.missing -= len(data)
                if self.missing > 0:
                    return
                data = data[len(data) + self.missing :] if self.missing else b""
                self.missing = 0
                self._answer()
                continue
            self.buffer += data
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head, rest = bytes(self.buffer[:end]).lower(), bytes(self.buffer[end + 4 :])
            self.buffer.clear()
            at = head.find(b"content-length:")
            self.missing = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            data = rest
            if not self.missing:
                self._answer()

    def _answer(self) -> None:
        self.transport.write(ANSWER)  # type: ignore[attr-defined]


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
