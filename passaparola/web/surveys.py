"""A question with one answer, tapped in the letter or given on the page; it is bound to the letter, and to the order it was about."""

from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from passaparola.inbound import surveys
from passaparola.outbox.render import share
from passaparola.outbox.render.survey import Survey
from passaparola.settings import settings
from passaparola.store.database import utc_now
from passaparola.web.link_context import Visitor, links, lost, machine, named, page, store
from passaparola.web.links import touched

router = APIRouter()
LONGEST = 2_000


@router.get("/s/{token}")
def survey_page(request: Request, token: str, score: int | None = None) -> Response:
    """A tap in the letter is noted as a tap; it is an answer once it is sure that no scanner tapped every number."""
    with store().write() as session:
        found = named(session, "survey", token)
        if not found:
            return lost(request)
        asked = _asked(found)
        given = score if score in asked.answers() else None
        if given is not None:
            said = {**_said(asked, given, ""), "link": f"answer {given}"}
            touched(session, found, "clicked", surveys.TAP, f"answer {given}", said, machine(request))
        return _shown(request, found, asked, given, done=False)


@router.post("/s/{token}")
def survey(
    request: Request, token: str, score: int | None = Form(None), comment: str = Form("", max_length=LONGEST)
) -> Response:
    with store().write() as session:
        found = named(session, "survey", token)
        if not found:
            return lost(request)
        asked = _asked(found)
        words = comment.replace("\x00", "").strip()
        if score not in asked.answers() and not (asked.kind == "text" and words):
            return _shown(request, found, asked, None, done=False, status=422)
        now = utc_now()
        said = {**found.of_it(), **_said(asked, score, words)}
        surveys.answer(session, settings(), found.contact, found.name, said, now, now, found.message)
        return _shown(request, found, asked, score, done=True)


def _asked(found: Visitor) -> Survey:
    return Survey.model_validate(found.wording().get("survey") or {})


def _said(asked: Survey, answer: int | None, comment: str) -> dict[str, Any]:
    said: dict[str, Any] = {"survey": asked.kind}
    if answer is not None:
        said |= {"answer": asked.choices[answer] if asked.choices else answer}
        if (score := asked.score(answer)) is not None:
            said["score"] = score
    return said | ({"comment": comment} if comment else {})


def _shown(
    request: Request, found: Visitor, asked: Survey, given: int | None, *, done: bool, status: int = 200
) -> Response:
    language = found.person.language or settings().locale
    sharing = _sharing(found) if done else []
    return page(request, "survey.html", language, status, asked=asked, given=given, done=done, sharing=sharing)


def _sharing(found: Visitor) -> list[tuple[str, str]]:
    """What the letter lets them pass on, they may pass on here."""
    said = found.wording().get("share")
    return share.shown(said, found.launch.campaign, links().word(found.name) if found.tracked else "") if said else []
