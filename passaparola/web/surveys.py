"""A question with one answer, tapped in the letter or given on the page; it is bound to the letter, and to the order
it was about."""

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
    """Show the survey. A tap in the message is stored as a tap; it is an answer once it is sure that no scanner
    tapped every number."""
    context = await run_in_threadpool(_resolve, token)
    if not context:
        return not_found_page(request)
    survey = _survey_of(context)
    given = score if score in survey.answers() else None
    if given is not None:
        which = f"answer {given}"
        properties = {**_answer_properties(survey, given, ""), "link": which}
        await store_link_event(
            new_link_event(
                context.message_id, "clicked", surveys.TAP, which, utc_now(), bot_reason(request.headers), **properties
            )
        )
    return _show_survey(request, context, survey, given, done=False)


def _resolve(token: str) -> LinkContext | None:
    with store().read() as session:
        context = resolve_token(session, "survey", token)
        session.expunge_all()
        return context


@router.post("/s/{token}")
def survey(
    request: Request, token: str, score: int | None = Form(None), comment: str = Form("", max_length=MAX_COMMENT_CHARS)
) -> Response:
    with store().write() as session:
        context = resolve_token(session, "survey", token)
        if not context:
            return not_found_page(request)
        survey = _survey_of(context)
        words = comment.replace("\x00", "").strip()
        if score not in survey.answers() and not (survey.kind == "text" and words):
            return _show_survey(request, context, survey, None, done=False, status=422)
        now = utc_now()
        given = {**context.of_it(), **_answer_properties(survey, score, words)}
        surveys.record_answer(
            session, get_settings(), surveys.SurveyAnswer(context.contact, context.message_id, given, now), now
        )
        return _show_survey(request, context, survey, score, done=True)


def _survey_of(context: LinkContext) -> Survey:
    return Survey.model_validate(context.wording().get("survey") or {})


def _answer_properties(survey: Survey, choice: int | None, comment: str) -> dict[str, Any]:
    properties: dict[str, Any] = {"survey": survey.kind}
    if choice is not None:
        properties |= {"answer": survey.choices[choice] if survey.choices else choice}
        if (score := survey.score(choice)) is not None:
            properties["score"] = score
    return properties | ({"comment": comment} if comment else {})


def _show_survey(
    request: Request, context: LinkContext, survey: Survey, given: int | None, *, done: bool, status: int = 200
) -> Response:
    language = context.person.language or get_settings().locale
    sharing = _share_choices(context) if done else []
    return render_page(request, "survey.html", language, status, asked=survey, given=given, done=done, sharing=sharing)


def _share_choices(context: LinkContext) -> list[tuple[str, str]]:
    """Return the share links of the message, for the page that thanks."""
    bar = context.wording().get("share")
    return (
        share.share_choices(bar, context.launch.campaign, links().referral(context.ref) if context.tracked else "")
        if bar
        else []
    )
