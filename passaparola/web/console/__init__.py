"""The console: where people who work here read, answer and understand. Behind a login; what changes anything is
guarded twice."""

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse, Response

from passaparola.web.console import audiences, auth, campaigns, channels, contacts, inbox
from passaparola.web.console.auth import Member, require_role

router = APIRouter(prefix="/console")
for room in (auth, inbox, contacts, campaigns, audiences, channels):
    router.include_router(room.router)


@router.get("")
def home(member: Member = Depends(require_role("reader"))) -> Response:
    return RedirectResponse("/console/inbox", 303)
