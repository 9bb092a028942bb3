"""Channels: which send and receive, what stopped one, and letting it go on once it is mended."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from passaparola.settings import get_settings
from passaparola.store import incidents
from passaparola.store.database import utc_now
from passaparola.web.console.auth import Member, render_page, require_form, require_role
from passaparola.web.link_context import store

router = APIRouter()


@router.get("/channels")
def channels(request: Request, member: Member = Depends(require_role("reader"))) -> Response:
    with store().read() as session:
        return render_page(
            request, "channels.html", member, channels=incidents.channel_statuses(session, get_settings().time_zone)
        )


@router.post("/channels/{name}/resume")
def resume(name: str, member: Member = Depends(require_form("admin"))) -> Response:
    with store().write() as session:
        incidents.resume_channel(session, name, actor=member.name, now=utc_now())
    return RedirectResponse("/console/channels", 303)
