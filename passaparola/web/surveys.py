"""A question with one answer, tapped in the letter or given on the page; it is bound to the letter, and to the order it was about."""

from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from passaparola.inbound import surveys
from passaparola.inbound.link_events import new_link_event
from passaparola.outbox.render import share
from passaparola.outbox.render.survey import Survey
from passaparola.settings import get_settings
from passaparola.store.database import utc_now
from passaparola.web.group_commit import store_link_event
from passaparola.web.link_context import (
    LinkContext,
    bot_reason,
    links,
    not_found_page,
    render_page,
    resolve_token,
    store,
)

router = APIRouter()
MAX_COMMENT_CHARS = 2_000


@router.get("/s/{token}")
async def survey_page(request: Request, token: str, score: int | None = None) -> Response:
    """Ask. A tap in the message is stored as a tap; it is an answer once it is sure that no scanner tapped every number."""
    found = await run_in_threadpool(_resolve, token)
    if not found:
        return not_found_page(request)
    asked = _survey_of(found)
    given = score if score in asked.answers() else None
    if given is not None:
        which = f"answer {given}"
        properties = {**_answer_properties(asked, given, ""), "link": which}
        await store_link_event(
            new_link_event(
                found.message_id, "clicked", surveys.TAP, which, utc_now(), bot_reason(request.headers), **properties
            )
        )
    return _show_survey(request, found, asked, given, done=False)


def _resolve(token: str) -> LinkContext | None:
    with store().read() as session:
        found = resolve_token(session, "survey", token)
        session.expunge_all()
        return found


@router.post("/s/{token}")
def survey(
    request: Request, token: str, score: int | None = Form(None), comment: str = Form("", max_length=MAX_COMMENT_CHARS)
) -> Response:
    with store().write() as session:
        found = resolve_token(session, "survey", token)
        if not found:
            return not_found_page(request)
        asked = _survey_of(found)
        words = comment.replace("\x00", "").strip()
        if score not in asked.answers() and not (asked.kind == "text" and words):
            return _show_survey(request, found, asked, None, done=False, status=422)
        now = utc_now()
        said = {**found.of_it(), **_answer_properties(asked, score, words)}
        surveys.answer(session, get_settings(), found.contact, found.name, said, now, now, found.message)
        return _show_survey(request, found, asked, score, done=True)


def _survey_of(found: LinkContext) -> Survey:
    return Survey.model_validate(found.wording().get("survey") or {})


def _answer_properties(asked: Survey, answer: int | None, comment: str) -> dict[str, Any]:
    said: dict[str, Any] = {"survey": asked.kind}
    if answer is not None:
        said |= {"answer": asked.choices[answer] if asked.choices else answer}
        if (score := asked.score(answer)) is not None:
            said["score"] = score
    return said | ({"comment": comment} if comment else {})


def _show_survey(
    request: Request, found: LinkContext, asked: Survey, given: int | None, *, done: bool, status: int = 200
) -> Response:
    language = found.person.language or get_settings().locale
    sharing = _share_choices(found) if done else []
    return render_page(request, "survey.html", language, status, asked=asked, given=given, done=done, sharing=sharing)


def _share_choices(found: LinkContext) -> list[tuple[str, str]]:
    """What the letter lets them pass on, they may pass on here."""
    said = found.wording().get("share")
    return (
        share.share_choices(said, found.launch.campaign, links().referral(found.ref) if found.tracked else "")
        if said
        else []
    )
