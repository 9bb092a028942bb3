"""“My data” and “forget me”, opened from a letter to the person's own mailbox: GET shows, POST erases."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from contacts import erasure, export
from contacts.merging import resolve
from contacts.models import Contact
from contacts.store import utc_now
from errors import Unknown
from settings import settings
from web.visitors import links, lost, page, store

router = APIRouter()


def _whose(purpose: str, token: str) -> int | None:
    """The contact whom a link of the last day names."""
    said = links().read(purpose, token)  # type: ignore[arg-type]
    contact, _, until = (said or "").partition(".")
    if not (contact.isdigit() and until.isdigit()) or utc_now().timestamp() > int(until):
        return None
    with store().read() as session:
        try:
            person = session.get(Contact, resolve(session, int(contact)))
        except Unknown:
            return None
        return person.id if person and not person.erased_at else None


@router.get("/data/{token}")
def data(request: Request, token: str) -> Response:
    contact = _whose("data", token)
    if contact is None:
        return lost(request)
    with store().read() as session:
        person = session.get(Contact, contact)
        found = export.of(session, contact, utc_now())
        language = person.language if person else None
        return page(request, "data.html", language, found=found, download=f"/data/{token}/file")


@router.get("/data/{token}/file")
def data_file(request: Request, token: str) -> Response:
    """The same, for another program to read (GDPR, articles 15 and 20)."""
    contact = _whose("data", token)
    if contact is None:
        return lost(request)
    with store().read() as session:
        headers = {"Content-Disposition": 'attachment; filename="my-data.json"', "Cache-Control": "no-store"}
        return JSONResponse(export.of(session, contact, utc_now()), headers=headers)


@router.get("/forget/{token}")
def forget_page(request: Request, token: str) -> Response:
    if _whose("forget", token) is None:
        return lost(request)
    return page(request, "forget.html", None, done=False)


@router.post("/forget/{token}")
def forget(request: Request, token: str) -> Response:
    contact = _whose("forget", token)
    if contact is None:
        return lost(request)
    erasure.erase(store(), settings(), contact, actor="the contact", now=utc_now())
    return page(request, "forget.html", None, done=True)
