"""The inbox: who waits for an answer, for how long yet, and the answer itself."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import func, or_, select
from sqlmodel import Session, col

from passaparola.contacts.timeline import contact_timeline as timeline_of
from passaparola.conversations import care, threads
from passaparola.outbox import answer
from passaparola.settings import get_settings
from passaparola.store.database import utc_now
from passaparola.store.models import (
    Contact,
    Conversation,
    Message,
    Staff,
    Turn,
    message_state,
    select_messages,
)
from passaparola.web.console.auth import Member, render_page, require_form, require_role
from passaparola.web.link_context import store

router = APIRouter()
PAGE_SIZE = 100


@router.get("/inbox")
def inbox(
    request: Request,
    state: str = "open",
    kind: str = "",
    team: str = "",
    who: str = "",
    q: str = "",
    member: Member = Depends(require_role("reader")),
) -> Response:
    now = utc_now()
    with store().read() as session:
        chosen = _filter_conversations({"state": state, "kind": kind, "team": team}, who, q, member)
        first = (
            col(Conversation.priority).desc(),
            func.coalesce(col(Conversation.due_at), now),
            col(Conversation.id).desc(),
        )
        rows = [
            (conversation, _name(person), _response_clock(conversation, now))
            for conversation, person in session.execute(chosen.order_by(*first).limit(PAGE_SIZE))
        ]
        counted = select(col(Conversation.state), func.count()).group_by(col(Conversation.state))
        counts = {state_: number for state_, number in session.execute(counted).all()}  # noqa: C416
        teams = sorted(filter(None, session.execute(select(col(Conversation.team)).distinct()).scalars()))
    return render_page(
        request,
        "inbox.html",
        member,
        rows=rows,
        counts=counts,
        teams=teams,
        kinds=care.BY_SEVERITY,
        now=now,
        asked={"state": state, "kind": kind, "team": team, "who": who, "q": q},
    )


def _filter_conversations(exactly: dict[str, str], who: str, q: str, member: Member) -> Any:
    """Build the query of conversations that fit; an empty filter fits all."""
    chosen = select(Conversation, Contact).join(Contact, col(Contact.id) == col(Conversation.contact_id))
    for name, value in exactly.items():
        chosen = chosen.where(col(getattr(Conversation, name)) == value) if value else chosen
    if who == "me":
        chosen = chosen.where(col(Conversation.assignee) == member.name)
    if who == "nobody":
        chosen = chosen.where(col(Conversation.assignee) == "")
    if q.strip():
        words = f"%{q.strip().lower()[:80]}%"
        query = select(col(Turn.conversation_id)).where(func.lower(col(Turn.text)).like(words))
        chosen = chosen.where(or_(func.lower(col(Conversation.subject)).like(words), col(Conversation.id).in_(query)))
    return chosen


@router.get("/inbox/{id_}")
def conversation(request: Request, id_: int, member: Member = Depends(require_role("reader"))) -> Response:
    with store().read() as session:
        return _show_conversation(request, session, id_, member)


@router.post("/inbox/{id_}/answer")
def answered(
    request: Request,
    id_: int,
    text: str = Form(""),
    close: str = Form(""),
    member: Member = Depends(require_form("care")),
) -> Response:
    with store().write() as session:
        answer.send_answer(session, get_settings(), id_, text, actor=member.name, now=utc_now())
        if close and threads.get_conversation(session, id_).state != "closed":
            answer.close_and_resume(session, id_, actor=member.name, now=utc_now())
    return RedirectResponse(f"/console/inbox/{id_}", 303)


@router.post("/inbox/{id_}/assign")
def assigned(id_: int, to: str = Form(""), member: Member = Depends(require_form("care"))) -> Response:
    with store().write() as session:
        known = session.get(Staff, to) if to else None
        threads.assign(session, id_, known.name if known else "", actor=member.name, now=utc_now())
    return RedirectResponse(f"/console/inbox/{id_}", 303)


@router.post("/inbox/{id_}/close")
def closed(id_: int, member: Member = Depends(require_form("care"))) -> Response:
    with store().write() as session:
        answer.close_and_resume(session, id_, actor=member.name, now=utc_now())
    return RedirectResponse(f"/console/inbox/{id_}", 303)


def _show_conversation(request: Request, session: Session, id_: int, member: Member) -> Response:
    conversation = threads.get_conversation(session, id_)
    person = session.get(Contact, conversation.contact_id)
    turns = select(Turn).where(col(Turn.conversation_id) == id_).order_by(col(Turn.at), col(Turn.id))
    rows = [(turn, _answer_outcome(session, turn)) for turn in session.execute(turns).scalars().all()]
    members = list(
        session.execute(select(col(Staff.name)).where(col(Staff.active)).order_by(col(Staff.name))).scalars()
    )
    policy = care.load_policy(get_settings().home)
    topic = policy.topics[conversation.topic].title if conversation.topic in policy.topics else conversation.topic
    return render_page(
        request,
        "conversation.html",
        member,
        one=conversation,
        name=_name(person),
        turns=rows,
        members=members,
        clock=_response_clock(conversation, utc_now()),
        topic=topic,
        mood=care.mood_of(conversation.sentiment),
        before=timeline_of(session, conversation.contact_id, 12),
    )


def _answer_outcome(session: Session, turn: Turn) -> str:
    """Return what became of an answer of ours."""
    if turn.enrolment_id is None:
        return ""
    chosen = select_messages(message_state().label("state"), col(Message.reason)).where(
        col(Message.enrolment_id) == turn.enrolment_id
    )
    row: Any = session.execute(chosen).first()
    return "" if row is None else f"{row.state}{': ' + row.reason if row.reason else ''}"


def _name(person: Contact | None) -> str:
    text = " ".join(filter(None, [person.first_name, person.last_name])) if person else ""
    return text or (f"contact {person.id}" if person else "")


def _response_clock(conversation: Conversation, now: datetime) -> tuple[str, str]:
    """Describe the response clock: its state (late, soon or fine), and in words."""
    if conversation.state != "open" or conversation.due_at is None:
        return ("", "")
    minutes = round((conversation.due_at - now).total_seconds() / 60)
    words = _span(abs(minutes))
    if minutes < 0:
        return ("late", f"{words} late")
    return ("soon" if minutes < 60 else "fine", f"{words} left")


def _span(minutes: int) -> str:
    return (
        f"{minutes} min" if minutes < 90 else f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
    )
