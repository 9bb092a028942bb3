"""Followed links: a click goes where the launch's frozen words say, an open is a picture. Stored at the door, judged
later."""

import base64
import time
from collections.abc import Sequence

from fastapi import Request
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp, Receive, Scope, Send

from passaparola.channel.message_ids import MessageId
from passaparola.inbound.link_events import new_link_event
from passaparola.outbox.links import LinkRef
from passaparola.store.database import utc_now
from passaparola.web import metrics
from passaparola.web.frozen_wordings import find_wording
from passaparola.web.group_commit import store_link_event
from passaparola.web.link_context import bot_reason, links, not_found_page, unavailable_page

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
BOT_HEADERS = (b"user-agent", b"sec-purpose", b"purpose", b"x-moz", b"x-purpose")
CLICK_SECONDS = metrics.SECONDS.labels("/c/{token}/{number}")
OPEN_SECONDS = metrics.SECONDS.labels("/o/{token}")


class LinkDoor:
    """Middleware that answers clicks and opens ahead of the app: they are asked more than all pages together, and
    need nothing of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        try:
            if path.startswith("/c/") and scope["method"] in ("GET", "HEAD"):
                await _click(scope, receive, send)
            elif path.startswith("/o/") and scope["method"] == "GET":
                await _open(scope, send)
            else:
                await self.app(scope, receive, send)
        except DBAPIError:
            await unavailable_page(Request(scope))(scope, receive, send)


async def _click(scope: Scope, receive: Receive, send: Send) -> None:
    """Store a click, then redirect to the address that stood in the message. HEAD is told the address and counts as
    nothing."""
    began = time.perf_counter()
    token, _, number = scope["path"][3:].partition("/")
    ref, target = await _find_target(token, number)
    if ref is None:
        await not_found_page(Request(scope))(scope, receive, send)
        return
    if scope["method"] == "GET":
        bot = bot_reason(_bot_headers(scope))
        await store_link_event(
            new_link_event(ref.message, "clicked", "link", number, utc_now(), bot, link=int(number), url=target)
        )
    await _answer(send, 302, [(b"location", target.encode()), (b"cache-control", b"no-store")])
    CLICK_SECONDS.observe(time.perf_counter() - began)


async def _open(scope: Scope, send: Send) -> None:
    """Store an open, and answer with the picture that is only in messages to who allows it."""
    began = time.perf_counter()
    name = links().read("pixel", scope["path"][3:])
    if name and (message := MessageId.parse(name)):
        await store_link_event(
            new_link_event(message, "opened", "pixel", "", utc_now(), bot_reason(_bot_headers(scope)))
        )
    await _answer(send, 200, [(b"content-type", b"image/gif"), (b"cache-control", b"no-store, private")], PIXEL)
    OPEN_SECONDS.observe(time.perf_counter() - began)


async def _find_target(token: str, number: str) -> tuple[LinkRef | None, str]:
    """Return the reference of a click's token and where its link leads; None: there is no such link."""
    ref = links().read_ref("click", token)
    wording = await find_wording(ref) if ref else None
    targets: Sequence[str] = wording[1]["links"] if wording else ()
    if ref is None or not (number.isdigit() and number.isascii() and len(number) < 5 and int(number) < len(targets)):
        return None, ""
    return ref, targets[int(number)]


def _bot_headers(scope: Scope) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in BOT_HEADERS}


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*HEADERS, *headers, length]})
    await send({"type": "http.response.body", "body": body})
