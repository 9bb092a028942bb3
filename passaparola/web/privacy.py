"""“My data” and “forget me”, opened from a letter to the person's own mailbox: GET shows, POST erases."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from passaparola import engine
from passaparola.contacts.merging import resolve
from passaparola.errors import Unknown
from passaparola.privacy import export
from passaparola.settings import settings
from passaparola.store.database import utc_now
from passaparola.store.models import Contact
from passaparola.web.link_context import links, lost, page, store

router = APIRouter()


def _whose(purpose: str, token: str) -> Contact | None:
    """Whom a link of the last day names."""
    said = links().read(purpose, token)  # type: ignore[arg-type]
    contact, _, until = (said or "").partition(".")
    if not (contact.isdigit() and until.isdigit()) or utc_now().timestamp() > int(until):
        return None
    with store().read() as session:
        try:
            person = session.get(Contact, resolve(session, int(contact)))
        except Unknown:
            return None
        return person if person and not person.erased_at else None


@router.get("/data/{token}")
def data(request: Request, token: str) -> Response:
    person = _whose("data", token)
    if person is None:
        return lost(request)
    with store().read() as session:
        found = export.of(session, person.id or 0, utc_now())
    return page(request, "data.html", person.language, found=found, download=f"/data/{token}/file")


@router.get("/data/{token}/file")
def data_file(request: Request, token: str) -> Response:
    """The same, for another program to read (GDPR, articles 15 and 20)."""
    person = _whose("data", token)
    if person is None:
        return lost(request)
    with store().read() as session:
        headers = {"Content-Disposition": 'attachment; filename="my-data.json"', "Cache-Control": "no-store"}
        return JSONResponse(export.of(session, person.id or 0, utc_now()), headers=headers)


@router.get("/forget/{token}")
def forget_page(request: Request, token: str) -> Response:
    person = _whose("forget", token)
    return page(request, "forget.html", person.language, done=False) if person else lost(request)


@router.post("/forget/{token}")
def forget(request: Request, token: str) -> Response:
    person = _whose("forget", token)
    if person is None:
        return lost(request)
    engine.erase_contact(store(), settings(), person.id or 0, actor="the contact", now=utc_now())
    return page(request, "forget.html", person.language, done=True)
