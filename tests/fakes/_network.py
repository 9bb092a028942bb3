"""What the fakes of plain HTTP networks share: a server on loopback, a log, and the next refusal or lost answer."""

import contextlib
import email
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Call:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    asked: str = ""  # path and query as they came

    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    def form(self) -> dict[str, Any]:
        """Fields as text; files as bytes."""
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/"):
            return {name: values[-1] for name, values in parse_qs(self.body.decode(), keep_blank_values=True).items()}
        parsed = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + self.body)
        found: dict[str, Any] = {}
        for part in parsed.get_payload():  # type: ignore[union-attr]
            name = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
            body = part.get_payload(decode=True)  # type: ignore[union-attr]
            found[str(name)] = body if part.get_filename() else body.decode()  # type: ignore[union-attr]
        return found


@dataclass
class Answer:
    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.answer = Answer(status, body, headers or {})


class FakeNetwork:
    """`handle` answers a call or raises Refusal; `posts` says whether a call makes something that people see."""

    env: dict[str, str]
    wrong: dict[str, str]
    down: dict[str, str]

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.posts: list[dict[str, Any]] = []
        self._next: Answer | None = None
        self._lost = False
        self._stalled = 0.0
        self.padding = 0  # bytes that a reading's answer is longer by
        self.garbled = False  # a reading is answered by some proxy's page

    def handle(self, call: Call) -> Answer:
        raise NotImplementedError

    def posting(self, call: Call) -> bool:
        return call.method == "POST"

    def refusal(self, status: int) -> Answer:
        """How this network words it."""
        return Answer(status, {"message": "no"}, {"Retry-After": "7"} if status == 429 else {})

    def accepted(self) -> int | None:
        return len(self.posts)

    def fail(self, status: int) -> None:
        self._next = self.refusal(status)

    def lose(self) -> None:
        self._lost = True

    def stall(self, seconds: float) -> None:
        self._stalled = seconds

    def began(self) -> None:
        """The server listens at `url`; the settings that lead there are set here."""

    def __enter__(self) -> Any:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def _any(self) -> None:
                fake._meet(self)

            do_GET = do_POST = do_PUT = do_DELETE = _any

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.began()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _meet(self, request: Any) -> None:
        split = urlsplit(request.path)
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = (
            request.rfile.read(int(headers.get("content-length", 0)))
            if "chunked" not in headers.get("transfer-encoding", "")
            else _chunks(request.rfile)
        )
        call = Call(
            request.command,
            split.path,
            {n: v[-1] for n, v in parse_qs(split.query).items()},
            headers,
            body,
            request.path,
        )
        self.calls.append(call)
        posting = self.posting(call)
        if posting and self._next:
            answer, self._next = self._next, None
        else:
            try:
                answer = self.handle(call)
            except Refusal as refusal:
                answer, posting = refusal.answer, False
            if posting and self._stalled:
                seconds, self._stalled = self._stalled, 0.0
                time.sleep(seconds)
            if posting and self._lost:
                self._lost = False
                request.close_connection = True
                request.connection.close()
                return
        if call.method == "GET" and self.garbled:
            answer = Answer(200, b"<html>Please wait</html>")
        if call.method == "GET" and self.padding and isinstance(answer.body, dict):
            answer.body["padding"] = "x" * self.padding
        raw = json.dumps(answer.body).encode() if not isinstance(answer.body, bytes) else answer.body
        request.send_response(answer.status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(raw)),
            **answer.headers,
        }.items():
            request.send_header(name, value)
        with contextlib.suppress(ConnectionError):  # whoever asked has gone
            request.end_headers()
            request.wfile.write(raw)


def _chunks(file: Any) -> bytes:
    whole = b""
    while size := int(file.readline().split(b";")[0], 16):
        whole += file.read(size)
        file.readline()
    file.readline()
    return whole
