"""Where everything goes: reads what is sent to its end and says that it was accepted.

python -m bench.sink http|smtp [SECONDS BEFORE EACH ANSWER]      prints its port; ends with its standard input
"""

import asyncio
import sys

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: sink\r\nContent-Length: 0\r\n\r\n"


class Http(asyncio.Protocol):
    delay = 0.0

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
        write = self.transport.write  # type: ignore[attr-defined]
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, write, ACCEPTED)
        else:
            write(ACCEPTED)


class Smtp(asyncio.Protocol):
    """Takes several commands at once (RFC 2920); of a body only its end is looked for."""

    delay = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer, self.body = transport, bytearray(), False
        transport.write(b"220 sink\r\n")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        said = bytearray()
        seen = max(len(self.buffer) - 4, 0)
        self.buffer += data
        while True:
            if self.body:
                end = self.buffer.find(b"\r\n.\r\n", seen)
                if end < 0:
                    break
                del self.buffer[: end + 5]
                self.body, seen = False, 0
                said += b"250 taken\r\n"
                continue
            end = self.buffer.find(b"\r\n")
            if end < 0:
                break
            verb = bytes(self.buffer[:4]).upper()
            del self.buffer[: end + 2]
            seen = 0
            if verb == b"EHLO":
                said += b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
            elif verb == b"DATA":
                said += b"354 go on\r\n"
                self.body = True
            else:
                said += b"221 bye\r\n" if verb == b"QUIT" else b"250 OK\r\n"
        if said:
            self._answer(bytes(said))

    def _answer(self, said: bytes) -> None:
        write = self.transport.write  # type: ignore[attr-defined]
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, write, said)
        else:
            write(said)


async def main(kind: str, delay: float) -> None:
    protocol: type[Http] | type[Smtp] = {"http": Http, "smtp": Smtp}[kind]
    protocol.delay = delay
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
