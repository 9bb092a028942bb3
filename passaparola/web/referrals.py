"""Word of mouth: a sharer's own link, which leads a friend on and tells us who passed the word on."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from passaparola.inbound.link_events import new_link_event
from passaparola.outbox.links import LinkRef
from passaparola.outbox.render import share
from passaparola.store.database import utc_now
from passaparola.web.frozen_wordings import find_wording
from passaparola.web.group_commit import store_link_event
from passaparola.web.link_context import bot_reason, get_only, links, not_found_page

NOT_STORED = {"Cache-Control": "no-store"}


async def visit(request: Request) -> Response:
    """Store a friend's visit, then redirect to the shared page. The sharer is known; the friend is nobody yet."""
    ref, campaign, shared = await _find_share(request.path_params["token"])
    if ref is None or shared is None:
        return not_found_page(request)
    await store_link_event(
        new_link_event(ref.message, "friend_visited", "referral", "friend", utc_now(), bot_reason(request.headers))
    )
    return RedirectResponse(share.landing_page(shared, campaign), 302, NOT_STORED)


async def share_on(request: Request) -> Response:
    """Store a share, then redirect to the network, which is given the sharer's own link."""
    network: str = request.path_params["network"]
    ref, _, shared = await _find_share(request.path_params["token"])
    if ref is None or shared is None or network not in share.share_networks():
        return not_found_page(request)
    await store_link_event(
        new_link_event(
            ref.message, "shared", "referral", network, utc_now(), bot_reason(request.headers), network=network
        )
    )
    return RedirectResponse(share.share_url(network, shared, links().referral(ref)), 302, NOT_STORED)


async def _find_share(token: str) -> tuple[LinkRef | None, str, share.Share | None]:
    """Return a referral token's reference, its campaign and what its message lets pass on."""
    ref = links().read_ref("referral", token)
    wording = await find_wording(ref) if ref else None
    given: Mapping[str, Any] | None = wording[1]["share"] if wording else None
    if ref is None or wording is None or not given:
        return None, "", None
    return ref, wording[0], share.Share.model_validate(given)


routes = [
    get_only("/w/{token}", visit),
    get_only("/w/{token}/{network}", share_on),
]
