"""The peers of the doors: a server that verifies and appends to a file, and ours with clicks that are not kept."""

import os
import tempfile
from typing import Any

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


async def forgetful(scope: Any, receive: Any, send: Any) -> None:
    """Our own app, whose clicks leave no trace."""
    from passaparola.web import links
    from passaparola.web.app import app as ours

    links.keep_all = lambda *given: None
    await ours(scope, receive, send)
