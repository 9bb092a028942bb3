"""A question with one answer: GET shows it, POST keeps it, once per message; what is answered moves journeys on."""

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlmodel import col

from contacts import activity
from contacts.models import Event
from contacts.store import insert_new, utc_now
from settings import settings
from web.links import language, lost, named, page, store

router = APIRouter()
LONGEST = 2_000


@router.get("/s/{token}")
def survey_page(request: Request, token: str, score: int | None = None) -> Response:
    """The score that was tapped in the letter is filled in; nothing is kept before it is sent."""
    with store().read() as session:
        found = named(session, "survey", token)
        if not found:
            return lost(request)
        _, enrolment, _ = found
        given = score if score is not None and 0 <= score <= 10 else None
        return page(request, "survey.html", language(session, enrolment), score=given, done=False)


@router.post("/s/{token}")
def survey(
    request: Request, token: str, score: int = Form(ge=0, le=10), comment: str = Form("", max_length=LONGEST)
) -> Response:
    with store().write() as session:
        found = named(session, "survey", token)
        if not found:
            return lost(request)
        message, enrolment, launch = found
        now = utc_now()
        key = launch.content["enter"].get("key")
        said = {"score": score, "campaign": launch.campaign, "launch": launch.id}
        said |= {key: enrolment.key} if key else {}
        said |= {"comment": comment.replace("\x00", "").strip()} if comment.strip() else {}
        answer = insert_new(session, Event).values(
            contact_id=enrolment.contact_id, kind="survey_answered", at=now, received_at=now, source="survey",
            source_id=f"{message.enrolment_id}-{message.step}-{message.medium}", properties=said,
        )  # fmt: skip
        kept = session.execute(answer.returning(col(Event.id))).scalar()
        if kept is not None and enrolment.contact_id:
            activity.refresh(session, settings().currency, [enrolment.contact_id])
        return page(request, "survey.html", language(session, enrolment), score=score, done=True)
