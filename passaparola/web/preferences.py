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
from passaparola.contacts.topics import load_topics, plain_topic
from passaparola.outbox import transactional
from passaparola.settings import get_settings
from passaparola.store.database import audit, utc_now
from passaparola.store.models import Address, Consent
from passaparola.web.link_context import (
    LinkContext,
    consent_proof,
    links,
    not_found_page,
    render_page,
    resolve_token,
    store,
)

router = APIRouter()
FREQUENCIES = {"": None, "1": 1, "2": 2, "4": 4}  # messages a week
PAUSES = {"30": 30, "90": 90}  # days
A_DAY = timedelta(days=1)
TRACKING = {
    "en": "We may see which links you follow and whether you open our letters, so that we write less of what does not matter to you.",
    "it": "Possiamo vedere quali link segui e se apri le nostre lettere, per scriverti meno di ciò che non ti interessa.",
}


@router.get("/preferences/{token}")
def preferences_page(request: Request, token: str) -> Response:
    with store().read() as session:
        found = resolve_token(session, "preferences", token)
        return _show_preferences(request, session, found) if found else not_found_page(request)


@router.post("/preferences/{token}")
async def preferences(request: Request, token: str) -> Response:
    """What is ticked is a yes, what is not is a no; only what was on the page counts."""
    form = await request.form(max_fields=200, max_part_size=2_000)
    with store().write() as session:
        found = resolve_token(session, "preferences", token)
        if not found:
            return not_found_page(request)
        if form.get("do") == "nothing more":
            _record_global_opt_out(request, session, found)
        else:
            _save(request, session, found, form)
        session.flush()
        return _show_preferences(request, session, found, saved="yes")


@router.post("/preferences/{token}/data")
def my_data(request: Request, token: str) -> Response:
    return _send_by_email(request, token, "your_data", "data")


@router.post("/preferences/{token}/forget")
def forget_me(request: Request, token: str) -> Response:
    return _send_by_email(request, token, "forget_me", "forget")


def _send_by_email(request: Request, token: str, name: str, purpose: Any) -> Response:
    """A letter may be forwarded, so what only the person may do is confirmed from their own mailbox, within a day."""
    with store().write() as session:
        found = resolve_token(session, "preferences", token)
        if not found:
            return not_found_page(request)
        now, own = utc_now(), get_settings()
        signed = links().sign(purpose, f"{found.contact}.{int((now + A_DAY).timestamp())}")
        says = {"action_url": f"{own.public_url}/{purpose}/{signed}"}
        headers = {"Auto-Submitted": "auto-generated"}
        transactional.send_to_contact(session, own, found.contact, name, says=says, now=now, headers=headers)
        audit(session, now, "preference page", f"asked for {name}", f"contact:{found.contact}")
        return _show_preferences(request, session, found, saved=purpose)


def _save(request: Request, session: Session, found: LinkContext, form: Any) -> None:
    now, language = utc_now(), found.person.language or get_settings().locale
    ticked = {str(value) for value in form.getlist("topics")}
    for topic, medium, words, stood in _choices(session, found):
        wanted = f"{topic}:{medium}" in ticked
        said = session.execute(select(latest_consent(found.contact, medium, topic))).scalar()
        # What holds without an answer is answered by saving it, ticked or not.
        if wanted != stood or (stood and said is None):
            consent.record(
                session, found.contact, medium, topic, wanted,
                at=now, source=f"preference page of launch {found.launch.id}", proof={**consent_proof(request, words, language), "launch": found.launch.id},
            )  # fmt: skip
    before = found.person.max_per_week, found.person.paused_until
    found.person.max_per_week = FREQUENCIES.get(str(form.get("often", "")), found.person.max_per_week)
    pause = str(form.get("pause", ""))
    if pause == "none":
        found.person.paused_until = None
    elif pause in PAUSES:
        found.person.paused_until = now + timedelta(days=PAUSES[pause])
    if before != (found.person.max_per_week, found.person.paused_until):
        by = {"by": "preferences", "at": now.isoformat()}
        found.person.sources = {**found.person.sources, "max_per_week": by, "paused_until": by}
        audit(session, now, "preference page", "chose how often", f"contact:{found.contact}")


def _record_global_opt_out(request: Request, session: Session, found: LinkContext) -> None:
    for medium in sorted({found.message.medium, *_media(session, found.contact)}):
        consent.record(
            session, found.contact, medium, "*", False,
            at=utc_now(), source=f"preference page of launch {found.launch.id}", proof=consent_proof(request, "nothing more", ""),
        )  # fmt: skip


def _show_preferences(request: Request, session: Session, found: LinkContext, saved: str = "") -> Response:
    language = found.person.language or get_settings().locale
    known = load_topics(get_settings().home)
    rows: dict[str, dict[str, Any]] = {}
    tracking = False
    for topic, medium, _, stands in _choices(session, found):
        if topic == "tracking":
            tracking = stands
            continue
        words = known.get(topic, plain_topic(topic)).words(language)
        row = rows.setdefault(topic, {"title": words.title, "about": words.about, "media": []})
        row["media"].append((medium, f"{topic}:{medium}", stands))
    until = found.person.paused_until
    paused = (
        clock.to_local(until, found.person.time_zone or get_settings().time_zone)
        if until and until > utc_now()
        else None
    )
    return render_page(
        request, "preferences.html", language, rows=rows, tracking=tracking, words=TRACKING["it" if language == "it" else "en"],
        often=str(found.person.max_per_week or ""), paused=paused, saved=saved, medium=found.message.medium,
    )  # fmt: skip


def _choices(session: Session, found: LinkContext) -> list[tuple[str, str, str, bool]]:
    """(topic, medium, the words that are shown, what holds): what the house offers, and what they were ever asked about."""
    language, media = found.person.language or get_settings().locale, _media(session, found.contact)
    known = load_topics(get_settings().home)
    asked = select(col(Consent.topic), col(Consent.medium)).where(col(Consent.contact_id) == found.contact).distinct()
    pairs = {(topic, medium) for topic, medium in session.execute(asked).all() if topic != "*"}
    pairs |= {
        (topic, medium)
        for topic, one in known.items()
        for medium in one.media
        if registry.address_kind(medium) in media
    }
    pairs |= {(found.topic, found.message.medium)} if found.topic else set()
    pairs |= {("tracking", found.message.medium)}
    words = {topic: known.get(topic, plain_topic(topic)).words(language) for topic, _ in pairs}
    said = {topic: f"{one.title}. {one.about}" for topic, one in words.items()}
    said["tracking"] = TRACKING["it" if language == "it" else "en"]
    return [
        (
            topic,
            medium,
            said[topic],
            _is_wanted(session, found.contact, medium, topic, known.get(topic, plain_topic(topic)).basis),
        )
        for topic, medium in sorted(pairs)
    ]


def _is_wanted(session: Session, contact: int, medium: str, topic: str, basis: str) -> bool:
    """Whether they are written to about a topic: where they said yes; about their own orders, until they said no."""
    said = session.execute(select(latest_consent(contact, medium, topic))).scalar()
    return basis == "transactional" if said is None else bool(said)


def _media(session: Session, contact: int) -> set[str]:
    return set(session.execute(select(col(Address.medium)).where(col(Address.contact_id) == contact)).scalars())
