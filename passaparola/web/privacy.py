"""“My data” and “forget me”, opened from a letter to the person's own mailbox: GET shows, POST erases."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from passaparola import engine
from passaparola.contacts.merging import resolve_contact
from passaparola.errors import Unknown
from passaparola.outbox.links import Purpose
from passaparola.privacy import export
from passaparola.settings import get_settings
from passaparola.store.database import utc_now
from passaparola.store.models import Contact
from passaparola.web.link_context import links, not_found_page, render_page, store

router = APIRouter()


def _contact_of_token(purpose: Purpose, token: str) -> Contact | None:
    """Return the contact whom a link of the last day names."""
    text = links().read(purpose, token)
    contact, _, until = (text or "").partition(".")
    if not (contact.isdigit() and until.isdigit()) or utc_now().timestamp() > int(until):
        return None
    with store().read() as session:
        try:
            person = session.get(Contact, resolve_contact(session, int(contact)))
        except Unknown:
            return None
        return person if person and not person.erased_at else None


@router.get("/data/{token}")
def data(request: Request, token: str) -> Response:
    person = _contact_of_token("data", token)
    if person is None:
        return not_found_page(request)
    with store().read() as session:
        data_ = export.export_contact(session, person.id or 0, utc_now())
    return render_page(request, "data.html", person.language, found=data_, download=f"/data/{token}/file")


@router.get("/data/{token}/file")
def data_file(request: Request, token: str) -> Response:
    """Serve the same, for another program to read (GDPR, articles 15 and 20)."""
    person = _contact_of_token("data", token)
    if person is None:
        return not_found_page(request)
    with store().read() as session:
        headers = {"Content-Disposition": 'attachment; filename="my-data.json"', "Cache-Control": "no-store"}
        return JSONResponse(export.export_contact(session, person.id or 0, utc_now()), headers=headers)


@router.get("/forget/{token}")
def forget_page(request: Request, token: str) -> Response:
    person = _contact_of_token("forget", token)
    return render_page(request, "forget.html", person.language, done=False) if person else not_found_page(request)


@router.post("/forget/{token}")
def forget(request: Request, token: str) -> Response:
    person = _contact_of_token("forget", token)
    if person is None:
        return not_found_page(request)
    engine.erase_contact(store(), get_settings(), person.id or 0, actor="the contact", now=utc_now())
    return render_page(request, "forget.html", person.language, done=True)
