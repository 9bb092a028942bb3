"""Channels: which speak and listen, what stopped one, and letting it go on once it is mended."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from contacts import troubles
from contacts.store import utc_now
from settings import settings
from web.console.entry import Member, changes, page, reads
from web.visitors import store

router = APIRouter()


@router.get("/channels")
def channels(request: Request, member: Member = Depends(reads("reader"))) -> Response:
    with store().read() as session:
        return page(request, "channels.html", member, voices=troubles.overview(session, settings().time_zone))


@router.post("/channels/{name}/resume")
def resumed(name: str, member: Member = Depends(changes("admin"))) -> Response:
    with store().write() as session:
        troubles.resume(session, name, actor=member.name, now=utc_now())
    return RedirectResponse("/console/channels", 303)
