"""Followed links: a click goes where the launch's frozen words say, an open is a picture. Stored at the door, judged later."""

import base64
from collections.abc import Sequence

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.routing import Route

from passaparola.channel.message_ids import MessageId
from passaparola.inbound.link_events import new_link_event
from passaparola.outbox.links import LinkRef
from passaparola.store.database import utc_now
from passaparola.web.frozen_wordings import find_wording
from passaparola.web.group_commit import store_link_event
from passaparola.web.link_context import bot_reason, get_only, links, not_found_page

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
NOT_STORED = {"Cache-Control": "no-store"}


async def click(request: Request) -> Response:
    """Store a click, then redirect to the address that stood in the message."""
    number: int = request.path_params["number"]
    ref, target = await _find_target(request.path_params["token"], number)
    if ref is None:
        return not_found_page(request)
    await store_link_event(
        new_link_event(
            ref.message, "clicked", "link", f"{number}", utc_now(), bot_reason(request), link=number, url=target
        )
    )
    return RedirectResponse(target, 302, NOT_STORED)


async def show_target(request: Request) -> Response:
    """Answer HEAD with where the link leads. Nobody reads a page by it, so it counts as nothing."""
    ref, target = await _find_target(request.path_params["token"], request.path_params["number"])
    if ref is None:
        return Response(status_code=404)
    return Response(status_code=302, headers={"Location": target, **NOT_STORED})


async def open_pixel(request: Request) -> Response:
    """Store an open. The picture is only in messages to who allows it."""
    name = links().read("pixel", request.path_params["token"])
    if name and (message := MessageId.parse(name)):
        await store_link_event(new_link_event(message, "opened", "pixel", "", utc_now(), bot_reason(request)))
    return Response(PIXEL, media_type="image/gif", headers={"Cache-Control": "no-store, private"})


async def _find_target(token: str, number: int) -> tuple[LinkRef | None, str]:
    """Return the reference of a click's token and where its link leads; None: there is no such link."""
    ref = links().read_ref("click", token)
    found = await find_wording(ref) if ref else None
    targets: Sequence[str] = found[1]["links"] if found else ()
    if ref is None or not 0 <= number < len(targets):
        return None, ""
    return ref, targets[number]


# Plain routes: nothing is parsed or validated for them, and they are asked more than all others together.
routes = [
    Route("/c/{token}/{number:int}", show_target, methods=["HEAD"]),
    get_only("/c/{token}/{number:int}", click),
    get_only("/o/{token}", open_pixel),
]
