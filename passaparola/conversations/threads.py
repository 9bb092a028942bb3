"""Conversations: what someone says joins its thread or opens one, is understood, and starts the response clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlmodel import Session, col

from passaparola.channel.receiver import Said
from passaparola.conversations import care as policy
from passaparola.conversations.care import Asked, Care
from passaparola.conversations.understanding import understood
from passaparola.errors import NotAllowed, Unknown
from passaparola.settings import Settings
from passaparola.store.database import audit
from passaparola.store.models import Contact, Conversation, Event, Turn

SAME_THREAD = timedelta(days=14)  # after which the same person on the same medium begins anew
AN_HOUR, MOST_AN_HOUR = timedelta(hours=1), 20  # nobody writes more; two machines that answer each other do


@dataclass(frozen=True)
class Spoken:
    """Something said, whose it is known: a letter, a post, an answer to a survey."""

    contact: int
    event: int
    medium: str
    source: str
    at: datetime
    said: Said
    about: str = ""
    score: float | None = None


def listen(session: Session, settings: Settings, spoken: Spoken, now: datetime) -> Conversation | None:
    """None: nothing that anyone has to see to, such as an out-of-office or a good score without a word."""
    care = policy.in_force(settings.home)
    low = spoken.score is not None and spoken.score <= care.scores.low
    if spoken.score is not None and not low and not spoken.said.text:
        return None
    standing = _standing(session, spoken)
    automatic = spoken.said.automatic or _too_many(session, spoken)
    if automatic and standing is None:
        return None
    person = session.get(Contact, spoken.contact)
    found = understood(spoken.said.text, care, person.language if person else None)
    kind: str = "low_score" if low and found.kind != "complaint" else found.kind
    _annotate(session, spoken.event, kind, found.topic, found.sentiment)
    conversation = standing or Conversation(
        contact_id=spoken.contact, medium=spoken.medium, source=spoken.source, thread=spoken.said.thread,
        subject=spoken.said.subject or spoken.said.text[:80], kind=kind, opened_at=spoken.at, heard_at=spoken.at,
    )  # fmt: skip
    if not automatic:
        if standing and standing.state != "closed":
            kind = policy.gravest([standing.kind, kind])
        conversation.kind, conversation.topic = kind, found.topic or conversation.topic
        conversation.language, conversation.sentiment = found.language, found.sentiment
        conversation.about = spoken.about or conversation.about
        _wait(conversation, care, spoken.at, settings.time_zone)
    session.add(conversation)
    session.flush()
    assert conversation.id is not None
    words = spoken.said.text if spoken.score is None else f"{spoken.score:g}/10 {spoken.said.text}".strip()
    session.add(
        Turn(
            conversation_id=conversation.id, at=spoken.at, text=words, name=spoken.said.name[:300], event_id=spoken.event,
            automatic=automatic,
        )
    )  # fmt: skip
    session.flush()
    return conversation


def _standing(session: Session, spoken: Spoken) -> Conversation | None:
    """The conversation that this goes on with: of the same thread, or open, or not long over."""
    mine = (
        select(Conversation)
        .where(col(Conversation.contact_id) == spoken.contact, col(Conversation.medium) == spoken.medium)
        .with_for_update()
        .execution_options(populate_existing=True)  # somebody may be closing it this very moment
    )
    recent = or_(col(Conversation.state) != "closed", col(Conversation.closed_at) >= spoken.at - SAME_THREAD)
    newest = mine.where(recent).order_by(col(Conversation.heard_at).desc(), col(Conversation.id).desc()).limit(1)
    if spoken.said.thread:
        same = mine.where(col(Conversation.thread) == spoken.said.thread).limit(1)
        found: Conversation | None = session.execute(same).scalar()
        if found:
            return found
        newest = newest.where(~col(Conversation.thread).startswith("direct:"))
        if spoken.said.thread.startswith("direct:"):
            return None
    latest: Conversation | None = session.execute(newest).scalar()
    return latest


def _too_many(session: Session, spoken: Spoken) -> bool:
    said = (
        select(func.count())
        .select_from(Turn)
        .join(Conversation, col(Conversation.id) == col(Turn.conversation_id))
        .where(
            col(Conversation.contact_id) == spoken.contact, col(Turn.author) == "",
            col(Turn.at) > spoken.at - AN_HOUR, col(Turn.at) <= spoken.at + AN_HOUR,
        )
    )  # fmt: skip
    return int(session.execute(said).scalar_one()) >= MOST_AN_HOUR


def _annotate(session: Session, event: int, kind: str, topic: str, sentiment: float) -> None:
    """So that audiences may ask: replied with sentiment = "bad" within 30 days."""
    row = session.get(Event, event)
    if row:
        row.properties = {**row.properties, "meant": kind, "about": topic, "sentiment": policy.mood(sentiment)}


def _wait(conversation: Conversation, care: Care, at: datetime, zone: str) -> None:
    """They spoke last: it is open, and the clock of its rule runs from their first word that has no answer yet."""
    waited = conversation.state == "open" and conversation.due_at is not None
    rule = care.rule(
        Asked(conversation.kind, conversation.topic, conversation.medium, conversation.language, conversation.sentiment)
    )
    conversation.heard_at = max(conversation.heard_at, at)
    if conversation.answered_at and conversation.answered_at >= at and conversation.state != "closed":
        return  # an older letter that came late: it has been answered
    conversation.state, conversation.closed_at = "open", None
    conversation.team, conversation.priority = rule.team, max(rule.priority, conversation.priority)
    clock = policy.due(care, rule.within, at, zone) if rule.within else None
    conversation.due_at = min(filter(None, [clock, conversation.due_at if waited else None]), default=None)


def escalate(session: Session, settings: Settings, now: datetime) -> int:
    """Those whose time is up go to whom the rule says, once, with more weight."""
    care = policy.in_force(settings.home)
    late = select(Conversation).where(
        col(Conversation.state) == "open", col(Conversation.due_at) <= now, col(Conversation.escalated_at).is_(None)
    )
    found = list(session.execute(late.with_for_update(skip_locked=True)).scalars())
    for one in found:
        rule = care.rule(Asked(one.kind, one.topic, one.medium, one.language, one.sentiment))
        one.escalated_at, one.priority = now, min(one.priority + 1, 9)
        one.team = rule.escalate or one.team
        audit(session, now, "care policy", "escalated", f"conversation:{one.id}", to=one.team)
    return len(found)


def conversation_of(session: Session, id_: int, *, locked: bool = False) -> Conversation:
    """Raises Unknown."""
    found = session.get(Conversation, id_, with_for_update=locked)
    if found is None:
        raise Unknown(f"There is no conversation {id_}.")
    return found


def assign(session: Session, id_: int, assignee: str, *, actor: str, now: datetime) -> None:
    conversation_of(session, id_).assignee = assignee
    audit(session, now, actor, "assigned", f"conversation:{id_}", to=assignee)


def close(session: Session, id_: int, *, actor: str, now: datetime) -> Conversation:
    """Seen to. Raises Unknown; NotAllowed where it is closed already."""
    closing = update(Conversation).where(col(Conversation.id) == id_, col(Conversation.state) != "closed")
    done: Any = session.execute(closing.values(state="closed", closed_at=now, due_at=None, escalated_at=None))
    if not done.rowcount:
        conversation_of(session, id_)
        raise NotAllowed(f"Conversation {id_} is closed already.")
    audit(session, now, actor, "closed", f"conversation:{id_}")
    found = conversation_of(session, id_)
    session.refresh(found)
    return found


def answered(session: Session, id_: int, text: str, enrolment: int, name: str, *, actor: str, now: datetime) -> None:
    """Our turn: the clock stands, and the conversation waits for them."""
    one = conversation_of(session, id_, locked=True)
    session.add(Turn(conversation_id=id_, at=now, author=actor, text=text, enrolment_id=enrolment, name=name))
    one.state, one.answered_at, one.due_at, one.escalated_at = "answered", now, None, None
    audit(session, now, actor, "answered", f"conversation:{id_}", enrolment=enrolment)
