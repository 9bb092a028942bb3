"""The preference centre: topics by medium, how often, a pause, tracking as a question of its own, and one no to
everything."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import select
from sqlmodel import Session, col

from passaparola import clock
from passaparola.channel import registry
from passaparola.contacts import consent
from passaparola.contacts.topics import Topic, load_topics, plain_topic
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


@dataclass(frozen=True)
class Choice:
    """One box of the page: a topic on a medium, the words beside it, and whether it holds (answered or not)."""

    topic: str
    medium: str
    words: str
    stands: bool
    answered: bool

    @property
    def key(self) -> str:
        return f"{self.topic}:{self.medium}"


router = APIRouter()
FREQUENCIES = {"": None, "1": 1, "2": 2, "4": 4}  # messages a week
PAUSES = {"30": 30, "90": 90}  # days
A_DAY = timedelta(days=1)
TRACKING = {
    "en": "We may see which links you follow and whether you open our letters, so that we write less of what does "
    "not matter to you.",
    "it": "Possiamo vedere quali link segui e se apri le nostre lettere, per scriverti meno di ciò che non ti "
    "interessa.",
}


@router.get("/preferences/{token}")
def preferences_page(request: Request, token: str) -> Response:
    with store().read() as session:
        context = resolve_token(session, "preferences", token)
        return _show_preferences(request, session, context) if context else not_found_page(request)


@router.post("/preferences/{token}")
async def preferences(request: Request, token: str) -> Response:
    """Save preferences. What is ticked is a yes, what is not is a no; only what was on the page counts."""
    form = await request.form(max_fields=200, max_part_size=2_000)
    with store().write() as session:
        context = resolve_token(session, "preferences", token)
        if not context:
            return not_found_page(request)
        if form.get("do") == "nothing more":
            _record_global_opt_out(request, session, context)
        else:
            _save(request, session, context, form)
        session.flush()
        return _show_preferences(request, session, context, saved="yes")


@router.post("/preferences/{token}/data")
def my_data(request: Request, token: str) -> Response:
    return _send_by_email(request, token, "your_data", "data")


@router.post("/preferences/{token}/forget")
def forget_me(request: Request, token: str) -> Response:
    return _send_by_email(request, token, "forget_me", "forget")


def _send_by_email(request: Request, token: str, name: str, purpose: Any) -> Response:
    """Send a confirmation by email. A letter may be forwarded, so what only the person may do is confirmed from
    their own mailbox, within a day."""
    with store().write() as session:
        context = resolve_token(session, "preferences", token)
        if not context:
            return not_found_page(request)
        now, settings = utc_now(), get_settings()
        signed = links().sign(purpose, f"{context.contact}.{int((now + A_DAY).timestamp())}")
        texts = {"action_url": f"{settings.public_url}/{purpose}/{signed}"}
        headers = {"Auto-Submitted": "auto-generated"}
        transactional.send_to_contact(session, settings, context.contact, name, texts=texts, now=now, headers=headers)
        audit(session, now, "preference page", f"asked for {name}", f"contact:{context.contact}")
        return _show_preferences(request, session, context, saved=purpose)


def _save(request: Request, session: Session, context: LinkContext, form: Any) -> None:
    now, language = utc_now(), context.person.language or get_settings().locale
    ticked = {str(value) for value in form.getlist("topics")}
    for choice in _choices(session, context):
        wanted = choice.key in ticked
        # What holds without an answer is answered by saving it, ticked or not.
        if wanted != choice.stands or (choice.stands and not choice.answered):
            consent.record(
                session,
                context.contact,
                choice.medium,
                choice.topic,
                wanted,
                at=now,
                source=f"preference page of launch {context.launch.id}",
                proof={**consent_proof(request, choice.words, language), "launch": context.launch.id},
            )
    before = context.person.max_per_week, context.person.paused_until
    context.person.max_per_week = FREQUENCIES.get(str(form.get("often", "")), context.person.max_per_week)
    pause = str(form.get("pause", ""))
    if pause == "none":
        context.person.paused_until = None
    elif pause in PAUSES:
        context.person.paused_until = now + timedelta(days=PAUSES[pause])
    if before != (context.person.max_per_week, context.person.paused_until):
        by = {"by": "preferences", "at": now.isoformat()}
        context.person.sources = {**context.person.sources, "max_per_week": by, "paused_until": by}
        audit(session, now, "preference page", "chose how often", f"contact:{context.contact}")


def _record_global_opt_out(request: Request, session: Session, context: LinkContext) -> None:
    for medium in sorted({context.message.medium, *_media(session, context.contact)}):
        consent.record(
            session,
            context.contact,
            medium,
            "*",
            False,
            at=utc_now(),
            source=f"preference page of launch {context.launch.id}",
            proof=consent_proof(request, "nothing more", ""),
        )


def _show_preferences(request: Request, session: Session, context: LinkContext, saved: str = "") -> Response:
    language = context.person.language or get_settings().locale
    known = load_topics(get_settings().home)
    rows: dict[str, dict[str, Any]] = {}
    tracking = False
    for choice in _choices(session, context):
        if choice.topic == "tracking":
            tracking = choice.stands
            continue
        words = known.get(choice.topic, plain_topic(choice.topic)).words(language)
        row = rows.setdefault(choice.topic, {"title": words.title, "about": words.about, "media": []})
        row["media"].append((choice.medium, choice.key, choice.stands))
    until = context.person.paused_until
    paused = (
        clock.to_local(until, context.person.time_zone or get_settings().time_zone)
        if until and until > utc_now()
        else None
    )
    return render_page(
        request,
        "preferences.html",
        language,
        rows=rows,
        tracking=tracking,
        words=TRACKING["it" if language == "it" else "en"],
        often=str(context.person.max_per_week or ""),
        paused=paused,
        saved=saved,
        medium=context.message.medium,
    )


def _choices(session: Session, context: LinkContext) -> list[Choice]:
    """Return what the house offers, and what they were ever asked about. A transactional topic holds until they said
    no, any other once they said yes."""
    language = context.person.language or get_settings().locale
    known = load_topics(get_settings().home)
    pairs = sorted(_pairs(session, context, known))
    latest = consent.latest_answers(session, context.contact, pairs)
    choices = []
    for topic, medium in pairs:
        offered, answer = known.get(topic, plain_topic(topic)), latest[topic, medium]
        wording = offered.words(language)
        tracking = TRACKING["it" if language == "it" else "en"]
        words = tracking if topic == "tracking" else f"{wording.title}. {wording.about}"
        stands = offered.basis == "transactional" if answer is None else bool(answer)
        choices.append(Choice(topic, medium, words, stands, answer is not None))
    return choices


def _pairs(session: Session, context: LinkContext, known: Mapping[str, Topic]) -> set[tuple[str, str]]:
    """Return each topic and medium that the page asks about."""
    media = _media(session, context.contact)
    asked = select(col(Consent.topic), col(Consent.medium)).where(col(Consent.contact_id) == context.contact).distinct()
    pairs = {(topic, medium) for topic, medium in session.execute(asked) if topic != "*"}
    for name, topic in known.items():
        pairs |= {(name, medium) for medium in topic.media if registry.address_kind(medium) in media}
    if context.topic:
        pairs.add((context.topic, context.message.medium))
    return pairs | {("tracking", context.message.medium)}


def _media(session: Session, contact: int) -> set[str]:
    return set(session.execute(select(col(Address.medium)).where(col(Address.contact_id) == contact)).scalars())
