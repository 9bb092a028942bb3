"""The links in letters: a click goes where the launch's frozen words say, GET only shows, POST says no (RFC 8058)."""

import base64

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select
from sqlmodel import Session, col

from contacts import activity, consent, events, feedback
from contacts.models import Contact
from contacts.store import utc_now
from contacts.topics import load, plain
from settings import settings
from web import together
from web.visitors import Visitor, lost, machine, named, page, store

router = APIRouter()
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@router.get("/c/{token}/{number}")
async def click(request: Request, token: str, number: int) -> Response:
    """Written down, then on to the address that stood in the letter."""
    target = await together.write(lambda session: followed(session, token, number, machine(request)))
    if target is None:
        return lost(request)
    return RedirectResponse(target, status_code=302, headers={"Cache-Control": "no-store"})


def followed(session: Session, token: str, number: int, why: str) -> str | None:
    """Where a link leads, its click kept; None: there is no such link."""
    found = named(session, "click", token)
    targets = found.wording()["links"] if found else ()
    if found is None or not 0 <= number < len(targets):
        return None
    touched(session, found, "clicked", "link", f"{number}", {"link": number, "url": targets[number]}, why)
    return str(targets[number])


@router.head("/c/{token}/{number}")
def looked_at(request: Request, token: str, number: int) -> Response:
    """Nobody reads a page by HEAD: it says where the link leads, and counts as nothing."""
    with store().read() as session:
        found = named(session, "click", token)
        targets = found.wording()["links"] if found else ()
        if not 0 <= number < len(targets):
            return Response(status_code=404)
        return Response(status_code=302, headers={"Location": targets[number], "Cache-Control": "no-store"})


@router.get("/o/{token}")
async def opened(request: Request, token: str) -> Response:
    """The picture in a letter of someone who allows it; anyone else has none in theirs."""

    def seen(session: Session) -> None:
        if found := named(session, "pixel", token):
            touched(session, found, "opened", "pixel", "", {}, machine(request))

    await together.write(seen)
    return Response(PIXEL, media_type="image/gif", headers={"Cache-Control": "no-store, private"})


def touched(
    session: Session, found: Visitor, kind: str, source: str, which: str, said: dict[str, object], why: str
) -> None:
    """One touch a minute; whether a person did it is judged from all that are there."""
    now = utc_now()
    # One after the other: clicks of one burst must see each other.
    session.execute(select(col(Contact.id)).where(col(Contact.id) == found.contact).with_for_update())
    properties = {**found.of_it(), **said} | ({"machine": why} if why else {})
    of_the_minute = f"{found.name}/{which}/{now:%Y%m%d%H%M}{'/machine' if why else ''}"
    event = {**found.event(kind, now, source, of_the_minute), "properties": properties, "machine": bool(why)}
    if new := events.keep(session, [event]):
        judged = feedback.mark_machines(session, [found.message.enrolment_id])
        activity.add(session, settings().currency, new, judged)


@router.get("/u/{token}")
def unsubscribe_page(request: Request, token: str) -> Response:
    """Asks; changes nothing, however many scanners follow the link."""
    with store().read() as session:
        found = named(session, "unsubscribe", token)
        return _unsubscribing(request, found, done=False) if found else lost(request)


@router.post("/u/{token}")
def unsubscribe(request: Request, token: str) -> Response:
    """One click, no cookie, no login, no redirect; twice is as good as once."""
    with store().write() as session:
        found = named(session, "unsubscribe", token)
        if not found:
            return lost(request)
        consent.record(
            session, found.contact, found.message.medium, found.topic, False,
            at=utc_now(), source=f"unsubscribe link of launch {found.launch.id}", proof={"launch": found.launch.id, "way": "one click"},
        )  # fmt: skip
        new = events.keep(session, [found.event("unsubscribed", utc_now(), "link", f"{found.name}/unsubscribed")])
        activity.add(session, settings().currency, new)
        return _unsubscribing(request, found, done=True)


def _unsubscribing(request: Request, found: Visitor, *, done: bool) -> Response:
    language = found.person.language or settings().locale
    topic = load(settings().home).get(found.topic, plain(found.topic)).words(language).title
    return page(request, "unsubscribe.html", language, topic=topic, done=done)
