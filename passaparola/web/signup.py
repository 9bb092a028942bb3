"""Signing up: a page, a letter, a second yes. What the page says never depends on whether we know the address."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from passaparola.contacts import signup
from passaparola.contacts.topics import load_topics
from passaparola.settings import get_settings
from passaparola.store.database import utc_now
from passaparola.store.models import SignUp
from passaparola.web.link_context import consent_proof, links, not_found_page, render_page, request_language, store

router = APIRouter()
limiter = MovingWindowRateLimiter(MemoryStorage())
PER_NETWORK_LIMIT, TOTAL_LIMIT = parse("20/hour"), parse("600/minute")


@router.get("/signup")
def signup_page(request: Request, lang: str = "") -> Response:
    language = _language(request, lang)
    return render_page(request, "signup.html", language, topics=_topics(language), done=False, problem=False)


@router.post("/signup")
async def sign_up(request: Request) -> Response:
    """Store a sign-up, to be confirmed from the mailbox. Programs that fill every field fill the one that people do
    not see."""
    form = await request.form(max_fields=30, max_part_size=2_000)
    language = _language(request, str(form.get("lang", "")))
    offered = _topics(language)
    address = str(form.get("email", "")).strip()
    topics = [str(name) for name in form.getlist("topics") if str(name) in offered] or list(offered)[:1]
    if "@" not in address or len(address) > 320 or not topics:
        return render_page(request, "signup.html", language, 400, topics=offered, done=False, problem=True)
    network = request.client.host if request.client else ""
    if not form.get("website") and limiter.hit(TOTAL_LIMIT) and limiter.hit(PER_NETWORK_LIMIT, network):
        words = " ".join(f"{offered[name].title}. {offered[name].about}" for name in topics)
        with store().write() as session:
            signup.request_signup(
                session, address, topics, language, consent_proof(request, words, language), utc_now()
            )
    return render_page(request, "signup.html", language, topics=offered, done=True, problem=False)


@router.get("/confirm/{token}")
def confirm_page(request: Request, token: str) -> Response:
    """Ask once more: a scanner follows the link, and only a person presses the button."""
    with store().read() as session:
        id_ = _signup_of_token(token)
        row = session.get(SignUp, id_) if id_ else None
        if row is None or row.state not in ("written to", "confirmed"):
            return not_found_page(request)
        return render_page(request, "confirm.html", row.language or None, done=row.state == "confirmed")


@router.post("/confirm/{token}")
def confirm(request: Request, token: str) -> Response:
    with store().write() as session:
        id_ = _signup_of_token(token)
        confirmation = consent_proof(request, "Yes, write to me", "")
        row = signup.confirm_signup(session, get_settings(), id_, confirmation, utc_now()) if id_ else None
        return render_page(request, "confirm.html", row.language or None, done=True) if row else not_found_page(request)


def _signup_of_token(token: str) -> int | None:
    text = links().read("confirm", token)
    return int(text) if text and text.isdigit() and len(text) < 19 else None


def _topics(language: str) -> dict[str, Any]:
    return {name: topic.words(language) for name, topic in load_topics(get_settings().home).items() if topic.sign_up}


def _language(request: Request, wanted: str) -> str:
    return "it" if (wanted or request_language(request)) == "it" else "en"
