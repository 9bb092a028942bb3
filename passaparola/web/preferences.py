"""The preference centre: topics by medium, how often, a pause, tracking as a question of its own, and one no to everything."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import select
from sqlmodel import Session, col

from passaparola import clock
from passaparola.channel import registry
from passaparola.contacts import consent
from passaparola.contacts.audience.compile import latest_consent
from passaparola.contacts.topics import load, plain
from passaparola.outbox import transactional
from passaparola.settings import settings
from passaparola.store.database import audit, utc_now
from passaparola.store.models import Address, Consent
from passaparola.web.link_context import Visitor, links, lost, named, page, proof, store

router = APIRouter()
OFTEN = {"": None, "1": 1, "2": 2, "4": 4}  # messages a week
PAUSES = {"30": 30, "90": 90}  # days
A_DAY = timedelta(days=1)
TRACKING = {
    "en": "We may see which links you follow and whether you open our letters, so that we write less of what does not matter to you.",
    "it": "Possiamo vedere quali link segui e se apri le nostre lettere, per scriverti meno di ciò che non ti interessa.",
}


@router.get("/preferences/{token}")
def preferences_page(request: Request, token: str) -> Response:
    with store().read() as session:
        found = named(session, "preferences", token)
        return _shown(request, session, found) if found else lost(request)


@router.post("/preferences/{token}")
async def preferences(request: Request, token: str) -> Response:
    """What is ticked is a yes, what is not is a no; only what was on the page counts."""
    form = await request.form(max_fields=200, max_part_size=2_000)
    with store().write() as session:
        found = named(session, "preferences", token)
        if not found:
            return lost(request)
        if form.get("do") == "nothing more":
            _nothing_more(request, session, found)
        else:
            _save(request, session, found, form)
        session.flush()
        return _shown(request, session, found, saved="yes")


@router.post("/preferences/{token}/data")
def my_data(request: Request, token: str) -> Response:
    return _by_letter(request, token, "your_data", "data")


@router.post("/preferences/{token}/forget")
def forget_me(request: Request, token: str) -> Response:
    return _by_letter(request, token, "forget_me", "forget")


def _by_letter(request: Request, token: str, name: str, purpose: Any) -> Response:
    """A letter may be forwarded, so what only the person may do is confirmed from their own mailbox, within a day."""
    with store().write() as session:
        found = named(session, "preferences", token)
        if not found:
            return lost(request)
        now, own = utc_now(), settings()
        signed = links().token(purpose, f"{found.contact}.{int((now + A_DAY).timestamp())}")
        says = {"action_url": f"{own.public_url}/{purpose}/{signed}"}
        headers = {"Auto-Submitted": "auto-generated"}
        transactional.write(session, own, found.contact, name, says=says, now=now, headers=headers)
        audit(session, now, "preference page", f"asked for {name}", f"contact:{found.contact}")
        return _shown(request, session, found, saved=purpose)


def _save(request: Request, session: Session, found: Visitor, form: Any) -> None:
    now, language = utc_now(), found.person.language or settings().locale
    ticked = {str(value) for value in form.getlist("topics")}
    for topic, medium, words, stood in _choices(session, found):
        wanted = f"{topic}:{medium}" in ticked
        said = session.execute(select(latest_consent(found.contact, medium, topic))).scalar()
        # What holds without an answer is answered by saving it, ticked or not.
        if wanted != stood or (stood and said is None):
            consent.record(
                session, found.contact, medium, topic, wanted,
                at=now, source=f"preference page of launch {found.launch.id}", proof={**proof(request, words, language), "launch": found.launch.id},
            )  # fmt: skip
    before = found.person.weekly_most, found.person.paused_until
    found.person.weekly_most = OFTEN.get(str(form.get("often", "")), found.person.weekly_most)
    pause = str(form.get("pause", ""))
    if pause == "none":
        found.person.paused_until = None
    elif pause in PAUSES:
        found.person.paused_until = now + timedelta(days=PAUSES[pause])
    if before != (found.person.weekly_most, found.person.paused_until):
        by = {"by": "preferences", "at": now.isoformat()}
        found.person.sources = {**found.person.sources, "weekly_most": by, "paused_until": by}
        audit(session, now, "preference page", "chose how often", f"contact:{found.contact}")


def _nothing_more(request: Request, session: Session, found: Visitor) -> None:
    for medium in sorted({found.message.medium, *_media(session, found.contact)}):
        consent.record(
            session, found.contact, medium, "*", False,
            at=utc_now(), source=f"preference page of launch {found.launch.id}", proof=proof(request, "nothing more", ""),
        )  # fmt: skip


def _shown(request: Request, session: Session, found: Visitor, saved: str = "") -> Response:
    language = found.person.language or settings().locale
    known = load(settings().home)
    rows: dict[str, dict[str, Any]] = {}
    tracking = False
    for topic, medium, _, stands in _choices(session, found):
        if topic == "tracking":
            tracking = stands
            continue
        words = known.get(topic, plain(topic)).words(language)
        row = rows.setdefault(topic, {"title": words.title, "about": words.about, "media": []})
        row["media"].append((medium, f"{topic}:{medium}", stands))
    until = found.person.paused_until
    paused = clock.local(until, found.person.time_zone or settings().time_zone) if until and until > utc_now() else None
    return page(
        request, "preferences.html", language, rows=rows, tracking=tracking, words=TRACKING["it" if language == "it" else "en"],
        often=str(found.person.weekly_most or ""), paused=paused, saved=saved, medium=found.message.medium,
    )  # fmt: skip


def _choices(session: Session, found: Visitor) -> list[tuple[str, str, str, bool]]:
    """(topic, medium, the words that are shown, what holds): what the house offers, and what they were ever asked about."""
    language, media = found.person.language or settings().locale, _media(session, found.contact)
    known = load(settings().home)
    asked = select(col(Consent.topic), col(Consent.medium)).where(col(Consent.contact_id) == found.contact).distinct()
    pairs = {(topic, medium) for topic, medium in session.execute(asked).all() if topic != "*"}
    pairs |= {
        (topic, medium) for topic, one in known.items() for medium in one.media if registry.address_of(medium) in media
    }
    pairs |= {(found.topic, found.message.medium)} if found.topic else set()
    pairs |= {("tracking", found.message.medium)}
    words = {topic: known.get(topic, plain(topic)).words(language) for topic, _ in pairs}
    said = {topic: f"{one.title}. {one.about}" for topic, one in words.items()}
    said["tracking"] = TRACKING["it" if language == "it" else "en"]
    return [
        (
            topic,
            medium,
            said[topic],
            _holds(session, found.contact, medium, topic, known.get(topic, plain(topic)).basis),
        )
        for topic, medium in sorted(pairs)
    ]


def _holds(session: Session, contact: int, medium: str, topic: str, basis: str) -> bool:
    """Whether they are written to about a topic: where they said yes; about their own orders, until they said no."""
    said = session.execute(select(latest_consent(contact, medium, topic))).scalar()
    return basis == "transactional" if said is None else bool(said)


def _media(session: Session, contact: int) -> set[str]:
    return set(session.execute(select(col(Address.medium)).where(col(Address.contact_id) == contact)).scalars())
