"""The links in messages: GET only shows, POST does (RFC 8058); a click goes where the launch's frozen content says."""

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from sqlmodel import Session, col, select

from contacts import activity, consent
from contacts.audience.compile import latest_consent
from contacts.feedback import message_key
from contacts.models import Batch, Consent, Contact, Enrolment, Event, Launch, Message
from contacts.store import Store, utc_now
from outbox.links import Links, Purpose
from outbox.render.frozen import wording_key
from settings import settings

router = APIRouter()
pages = Jinja2Templates(Path(__file__).parent / "pages")


@cache
def store() -> Store:
    return Store(settings().database).open()


def named(session: Session, purpose: Purpose, token: str) -> tuple[Message, Enrolment, Launch] | None:
    """The message that a token names; whatever is wrong with a token, the answer is the same."""
    own = settings()
    id_ = Links(own.secret, own.public_url).read(purpose, token)
    key = message_key(id_) if id_ else None
    message = session.get(Message, key) if key else None
    enrolment = session.get(Enrolment, message.enrolment_id) if message else None
    launch = session.get(Launch, enrolment.launch_id) if enrolment else None
    return (message, enrolment, launch) if message and enrolment and launch and enrolment.contact_id else None


def page(request: Request, name: str, language: str | None, status: int = 200, **shown: Any) -> Response:
    spoken = "it" if language == "it" else "en"
    return pages.TemplateResponse(request, name, {"it": spoken == "it", "lang": spoken, **shown}, status_code=status)


def lost(request: Request) -> Response:
    return page(request, "lost.html", _asked_for(request), 404)


def _asked_for(request: Request) -> str:
    return request.headers.get("accept-language", "en")[:2]


def language(session: Session, enrolment: Enrolment) -> str | None:
    person = session.get(Contact, enrolment.contact_id)
    return person.language if person else None


@router.get("/u/{token}")
def unsubscribe_page(request: Request, token: str) -> Response:
    """Asks; changes nothing, however many scanners follow the link."""
    with store().read() as session:
        found = named(session, "unsubscribe", token)
        if not found:
            return lost(request)
        _, enrolment, launch = found
        return page(
            request, "unsubscribe.html", language(session, enrolment), topic=launch.content["topic"], done=False
        )


@router.post("/u/{token}")
def unsubscribe(request: Request, token: str) -> Response:
    """One click, no cookie, no login, no redirect; twice is as good as once."""
    with store().write() as session:
        found = named(session, "unsubscribe", token)
        if not found:
            return lost(request)
        message, enrolment, launch = found
        assert enrolment.contact_id
        topic = launch.content["topic"]
        consent.record(
            session, enrolment.contact_id, message.medium, topic, False,
            at=utc_now(), source=f"unsubscribe link of launch {launch.id}", proof={"launch": launch.id, "way": "one click"},
        )  # fmt: skip
        return page(request, "unsubscribe.html", language(session, enrolment), topic=topic, done=True)


@router.get("/preferences/{token}")
def preferences_page(request: Request, token: str) -> Response:
    with store().read() as session:
        found = named(session, "preferences", token)
        if not found:
            return lost(request)
        message, enrolment, launch = found
        return _preferences(request, session, message.medium, enrolment, launch, saved=False)


@router.post("/preferences/{token}")
def preferences(request: Request, token: str, topics: list[str] = Form(default=[])) -> Response:
    """What is ticked is a yes, what is not is a no; only topics that were on the page count."""
    with store().write() as session:
        found = named(session, "preferences", token)
        if not found:
            return lost(request)
        message, enrolment, launch = found
        assert enrolment.contact_id
        for topic, stood in _topics(session, enrolment.contact_id, message.medium, launch):
            if (topic in topics) != stood:
                consent.record(
                    session, enrolment.contact_id, message.medium, topic, topic in topics,
                    at=utc_now(), source=f"preference page of launch {launch.id}", proof={"launch": launch.id, "way": "form"},
                )  # fmt: skip
        session.flush()
        return _preferences(request, session, message.medium, enrolment, launch, saved=True)


def _preferences(
    request: Request, session: Session, medium: str, enrolment: Enrolment, launch: Launch, *, saved: bool
) -> Response:
    assert enrolment.contact_id
    topics = _topics(session, enrolment.contact_id, medium, launch)
    return page(request, "preferences.html", language(session, enrolment), topics=topics, medium=medium, saved=saved)


def _topics(session: Session, contact: int, medium: str, launch: Launch) -> list[tuple[str, bool]]:
    """The topics this contact was ever asked about, the launch's own among them, and what holds now."""
    asked = (
        select(col(Consent.topic)).where(col(Consent.contact_id) == contact, col(Consent.medium) == medium).distinct()
    )
    names = sorted(({*session.exec(asked)} - {"*"}) | {launch.content["topic"]})
    return [(name, bool(session.exec(select(latest_consent(contact, medium, name))).first())) for name in names]


@router.get("/c/{token}/{number}")
def click(request: Request, token: str, number: int) -> Response:
    """Written down, then on to the address that stood in the launch's own words."""
    with store().write() as session:
        found = named(session, "click", token)
        if not found:
            return lost(request)
        message, enrolment, launch = found
        batch = session.get(Batch, message.batch_id)
        said = launch.content["steps"][message.step]["say"]
        key = wording_key(said, batch.variant if batch else "", message.medium)
        wording = launch.content["messages"][key][batch.locale if batch else launch.content["locale"]]
        if not 0 <= number < len(wording["links"]):
            return lost(request)
        assert enrolment.contact_id
        source_id = f"{message.enrolment_id}-{message.step}-{message.medium}/{number}/{utc_now():%Y%m%d%H%M}"
        if not session.exec(
            select(col(Event.id)).where(col(Event.source) == "link", col(Event.source_id) == source_id)
        ).first():
            event = Event(
                contact_id=enrolment.contact_id, kind="clicked", at=utc_now(), received_at=utc_now(), source="link", source_id=source_id,
                properties={"launch": launch.id, "campaign": launch.campaign, "link": number},
            )  # fmt: skip
            session.add(event)
            session.flush()
            activity.refresh(session, settings().currency, [enrolment.contact_id])
        return RedirectResponse(wording["links"][number], status_code=302, headers={"Cache-Control": "no-store"})
