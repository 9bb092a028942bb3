"""The links in letters: a click goes where the launch's frozen words say, GET only shows, POST says no (RFC 8058)."""

import base64
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session

from passaparola.contacts import activity, consent, events
from passaparola.contacts.topics import load_topics, plain_topic
from passaparola.inbound import feedback
from passaparola.settings import get_settings
from passaparola.store.database import utc_now
from passaparola.web import group_commit
from passaparola.web.link_context import LinkContext, bot_reason, not_found_page, render_page, resolve_token, store

router = APIRouter()
Happened = dict[str, Any]
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@router.get("/c/{token}/{number}")
async def click(request: Request, token: str, number: int) -> Response:
    """Written down, then on to the address that stood in the letter."""
    target, _ = await group_commit.write(
        lambda session: followed(session, token, number, bot_reason(request)), keep_all
    )
    if target is None:
        return not_found_page(request)
    return RedirectResponse(target, status_code=302, headers={"Cache-Control": "no-store"})


def followed(session: Session, token: str, number: int, why: str) -> tuple[str | None, Happened | None]:
    """Where a link leads, and its click; None: there is no such link."""
    found = resolve_token(session, "click", token)
    targets = found.wording()["links"] if found else ()
    if found is None or not 0 <= number < len(targets):
        return None, None
    said = {"link": number, "url": targets[number]}
    return str(targets[number]), touch(found, "clicked", "link", f"{number}", said, why)


@router.head("/c/{token}/{number}")
def looked_at(request: Request, token: str, number: int) -> Response:
    """Nobody reads a page by HEAD: it says where the link leads, and counts as nothing."""
    with store().read() as session:
        found = resolve_token(session, "click", token)
        targets = found.wording()["links"] if found else ()
        if not 0 <= number < len(targets):
            return Response(status_code=404)
        return Response(status_code=302, headers={"Location": targets[number], "Cache-Control": "no-store"})


@router.get("/o/{token}")
async def opened(request: Request, token: str) -> Response:
    """The picture in a letter of someone who allows it; anyone else has none in theirs."""

    def seen(session: Session) -> tuple[None, Happened | None]:
        found = resolve_token(session, "pixel", token)
        return None, touch(found, "opened", "pixel", "", {}, bot_reason(request)) if found else None

    await group_commit.write(seen, keep_all)
    return Response(PIXEL, media_type="image/gif", headers={"Cache-Control": "no-store, private"})


def touch(found: LinkContext, kind: str, source: str, which: str, said: dict[str, object], why: str) -> Happened:
    """One touch a minute, to be kept. `why` it is no person's; empty where it may be one's."""
    now = utc_now()
    of_the_minute = f"{found.name}/{which}/{now:%Y%m%d%H%M}{'/machine' if why else ''}"
    properties = {**found.of_it(), **said} | ({"machine": why} if why else {})
    return {**found.event(kind, now, source, of_the_minute), "properties": properties, "machine": bool(why)}


def keep_all(session: Session, results: Sequence[tuple[object, Happened | None]]) -> None:
    """The touches of several visitors at once; whether a person did it is judged from all that are there."""
    touches = [touch for _, touch in results if touch]
    if not touches:
        return
    # One after the other: clicks of one burst must see each other.
    activity.lock_contacts(session, {one["contact_id"] for one in touches})
    if new := events.record_events(session, touches):
        judged = feedback.mark_machines(session, {one["enrolment_id"] for one in new})
        activity.add_events(session, get_settings().currency, new, judged)


def touched(
    session: Session, found: LinkContext, kind: str, source: str, which: str, said: dict[str, object], why: str
) -> None:
    keep_all(session, [(None, touch(found, kind, source, which, said, why))])


@router.get("/u/{token}")
def unsubscribe_page(request: Request, token: str) -> Response:
    """Asks; changes nothing, however many scanners follow the link."""
    with store().read() as session:
        found = resolve_token(session, "unsubscribe", token)
        return _unsubscribing(request, found, done=False) if found else not_found_page(request)


@router.post("/u/{token}")
def unsubscribe(request: Request, token: str) -> Response:
    """One click, no cookie, no login, no redirect; twice is as good as once."""
    with store().write() as session:
        found = resolve_token(session, "unsubscribe", token)
        if not found:
            return not_found_page(request)
        consent.record(
            session, found.contact, found.message.medium, found.topic, False,
            at=utc_now(), source=f"unsubscribe link of launch {found.launch.id}", proof={"launch": found.launch.id, "way": "one click"},
        )  # fmt: skip
        new = events.record_events(
            session, [found.event("unsubscribed", utc_now(), "link", f"{found.name}/unsubscribed")]
        )
        activity.add_events(session, get_settings().currency, new)
        return _unsubscribing(request, found, done=True)


def _unsubscribing(request: Request, found: LinkContext, *, done: bool) -> Response:
    language = found.person.language or get_settings().locale
    topic = load_topics(get_settings().home).get(found.topic, plain_topic(found.topic)).words(language).title
    return render_page(request, "unsubscribe.html", language, topic=topic, done=done, mute=found.launch.transactional)
