"""The peers of the doors: bare routes that verify or take a click, and append to a file."""

import asyncio
import os
import tempfile
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from passaparola.channels.sendgrid.receiver import SendgridReceiver
from passaparola.store.database import utc_now

FILE = tempfile.TemporaryFile("ab")  # noqa: SIM115 it lives as long as the process


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Raw ASGI: as little as there can be around verifying and writing."""
    if scope["type"] != "http":
        return
    body = b""
    if scope["method"] == "POST":
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        SendgridReceiver().verify(headers, body, utc_now())
        FILE.write(body)
        FILE.flush()
        os.fsync(FILE.fileno())
    await send({"type": "http.response.start", "status": 202 if body else 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


_pending: list[tuple[bytes, "asyncio.Future[None]"]] = []
_writing: set["asyncio.Task[None]"] = set()


async def take_click(request: Request) -> Response:
    """Append a click's path to a file, wait for the fsync that all who came meanwhile share, redirect."""
    done = asyncio.get_running_loop().create_future()
    _pending.append((request.scope["raw_path"] + b"\n", done))
    if not _writing:
        task = asyncio.create_task(_write_groups())
        _writing.add(task)
        task.add_done_callback(_writing.discard)
    await done
    return RedirectResponse("https://shop.example/", 302)


async def healthz(request: Request) -> Response:
    return Response("ok")


clicks = Starlette(routes=[Route("/c/{token}/{number:int}", take_click), Route("/healthz", healthz)])


async def _write_groups() -> None:
    while _pending:
        group, _pending[:] = list(_pending), []
        await asyncio.to_thread(_append, b"".join(line for line, _ in group))
        for _, done in group:
            done.set_result(None)


def _append(lines: bytes) -> None:
    FILE.write(lines)
    FILE.flush()
    os.fsync(FILE.fileno())
