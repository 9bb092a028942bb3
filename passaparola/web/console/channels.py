"""Channels: which speak and listen, what stopped one, and letting it go on once it is mended."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from passaparola.settings import settings
from passaparola.store import incidents
from passaparola.store.database import utc_now
from passaparola.web.console.auth import Member, changes, page, reads
from passaparola.web.link_context import store

router = APIRouter()


@router.get("/channels")
def channels(request: Request, member: Member = Depends(reads("reader"))) -> Response:
    with store().read() as session:
        return page(request, "channels.html", member, voices=incidents.overview(session, settings().time_zone))


@router.post("/channels/{name}/resume")
def resumed(name: str, member: Member = Depends(changes("admin"))) -> Response:
    with store().write() as session:
        incidents.resume(session, name, actor=member.name, now=utc_now())
    return RedirectResponse("/console/channels", 303)
