"""Word of mouth: a sharer's own link, which leads a friend on and tells us who passed the word on."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from passaparola.outbox.render import share
from passaparola.web.link_context import bot_reason, links, not_found_page, resolve_token, store
from passaparola.web.links import touched

router = APIRouter()
NOT_KEPT = {"Cache-Control": "no-store"}


@router.get("/w/{token}")
def visit(request: Request, token: str) -> Response:
    """A friend comes. Whoever passed the word on is known; the friend is nobody yet."""
    with store().write() as session:
        found = resolve_token(session, "word", token)
        said = found.wording().get("share") if found else None
        if not found or not said:
            return not_found_page(request)
        target = share.landing_page(share.Share.model_validate(said), found.launch.campaign)
        if found.tracked:
            touched(session, found, "friend_visited", "word", "friend", {}, bot_reason(request))
        return RedirectResponse(target, 302, NOT_KEPT)


@router.get("/w/{token}/{network}")
def share_on(request: Request, token: str, network: str) -> Response:
    """They tapped a network's name: noted, then on to the network, which is given their own link."""
    with store().write() as session:
        found = resolve_token(session, "word", token)
        said = found.wording().get("share") if found else None
        if not found or not said or network not in share.share_networks():
            return not_found_page(request)
        if found.tracked:
            touched(session, found, "shared", "word", network, {"network": network}, bot_reason(request))
        own = links().referral(found.name)
        return RedirectResponse(share.share_url(network, share.Share.model_validate(said), own), 302, NOT_KEPT)
