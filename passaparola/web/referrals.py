"""Word of mouth: a sharer's own link, which leads a friend on and tells us who passed the word on."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from passaparola.outbox.render import share
from passaparola.web.link_context import links, lost, machine, named, store
from passaparola.web.links import touched

router = APIRouter()
NOT_KEPT = {"Cache-Control": "no-store"}


@router.get("/w/{token}")
def visited(request: Request, token: str) -> Response:
    """A friend comes. Whoever passed the word on is known; the friend is nobody yet."""
    with store().write() as session:
        found = named(session, "word", token)
        said = found.wording().get("share") if found else None
        if not found or not said:
            return lost(request)
        target = share.page_of(share.Share.model_validate(said), found.launch.campaign)
        if found.tracked:
            touched(session, found, "friend_visited", "word", "friend", {}, machine(request))
        return RedirectResponse(target, 302, NOT_KEPT)


@router.get("/w/{token}/{network}")
def shared(request: Request, token: str, network: str) -> Response:
    """They tapped a network's name: noted, then on to the network, which is given their own link."""
    with store().write() as session:
        found = named(session, "word", token)
        said = found.wording().get("share") if found else None
        if not found or not said or network not in share.networks():
            return lost(request)
        if found.tracked:
            touched(session, found, "shared", "word", network, {"network": network}, machine(request))
        own = links().word(found.name)
        return RedirectResponse(share.leads_to(network, share.Share.model_validate(said), own), 302, NOT_KEPT)
