"""Conversations: a text joins its thread or opens one, is classified, and starts the response clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlmodel import Session, col

from passaparola.channel.receiver import InboundText
from passaparola.conversations import care as policy
from passaparola.conversations.care import CarePolicy, ConversationFacts
from passaparola.conversations.understanding import understand
from passaparola.errors import NotAllowed, Unknown
from passaparola.settings import Settings
from passaparola.store.bulk import execute_update
from passaparola.store.database import audit
from passaparola.store.models import Contact, Conversation, Event, Turn

SAME_THREAD = timedelta(days=14)  # after which the same person on the same medium begins anew
FLOOD_WINDOW, MAX_PER_HOUR = timedelta(hours=1), 20  # nobody writes more; two machines that answer each other do


@dataclass(frozen=True)
class IncomingText:
    """A text of a known contact: an email, a post, an answer to a survey."""

    contact: int
    event: int
    medium: str
    source: str
    at: datetime
    text: InboundText
    about: str = ""
    score: float | None = None


def receive(session: Session, settings: Settings, spoken: IncomingText, now: datetime) -> Conversation | None:
    """Put a text into its conversation. Return None for what nobody has to see to, such as an out-of-office or a
    good score without a word."""
    care = policy.current_policy(settings.home)
    low = spoken.score is not None and spoken.score <= care.scores.low
    if spoken.score is not None and not low and not spoken.text.text:
        return None
    current = _current_conversation(session, spoken)
    automatic = spoken.text.automatic or _is_flood(session, spoken)
    if automatic and current is None:
        return None
    person = session.get(Contact, spoken.contact)
    understanding = understand(spoken.text.text, care, person.language if person else None)
    kind: str = "low_score" if low and understanding.kind != "complaint" else understanding.kind
    _annotate(session, spoken.event, kind, understanding.topic, understanding.sentiment)
    conversation = current or _new_conversation(spoken, kind)
    if not automatic:
        if current and current.state != "closed":
            kind = policy.most_severe([current.kind, kind])
        conversation.kind, conversation.topic = kind, understanding.topic or conversation.topic
        conversation.language, conversation.sentiment = understanding.language, understanding.sentiment
        conversation.about = spoken.about or conversation.about
        _start_response_clock(conversation, care, spoken.at, settings.time_zone)
    session.add(conversation)
    session.flush()
    assert conversation.id is not None
    session.add(_turn(conversation.id, spoken, automatic))
    session.flush()
    return conversation


def _new_conversation(spoken: IncomingText, kind: str) -> Conversation:
    return Conversation(
        contact_id=spoken.contact,
        medium=spoken.medium,
        source=spoken.source,
        thread=spoken.text.thread,
        subject=spoken.text.subject or spoken.text.text[:80],
        kind=kind,
        opened_at=spoken.at,
        last_inbound_at=spoken.at,
    )


def _turn(conversation: int, spoken: IncomingText, automatic: bool) -> Turn:
    words = spoken.text.text if spoken.score is None else f"{spoken.score:g}/10 {spoken.text.text}".strip()
    return Turn(
        conversation_id=conversation,
        at=spoken.at,
        text=words,
        name=spoken.text.external_id[:300],
        event_id=spoken.event,
        automatic=automatic,
    )


def _current_conversation(session: Session, spoken: IncomingText) -> Conversation | None:
    """Find the conversation that a text continues: of its thread, else open or recently closed."""
    mine = (
        select(Conversation)
        .where(col(Conversation.contact_id) == spoken.contact, col(Conversation.medium) == spoken.medium)
        .with_for_update()
        .execution_options(populate_existing=True)  # somebody may be closing it this very moment
    )
    recent = or_(col(Conversation.state) != "closed", col(Conversation.closed_at) >= spoken.at - SAME_THREAD)
    newest = mine.where(recent).order_by(col(Conversation.last_inbound_at).desc(), col(Conversation.id).desc()).limit(1)
    if spoken.text.thread:
        same = mine.where(col(Conversation.thread) == spoken.text.thread).limit(1)
        conversation: Conversation | None = session.execute(same).scalar()
        if conversation:
            return conversation
        newest = newest.where(~col(Conversation.thread).startswith("direct:"))
        if spoken.text.thread.startswith("direct:"):
            return None
    latest: Conversation | None = session.execute(newest).scalar()
    return latest


def _is_flood(session: Session, spoken: IncomingText) -> bool:
    query = (
        select(func.count())
        .select_from(Turn)
        .join(Conversation, col(Conversation.id) == col(Turn.conversation_id))
        .where(
            col(Conversation.contact_id) == spoken.contact,
            col(Turn.author) == "",
            col(Turn.at) > spoken.at - FLOOD_WINDOW,
            col(Turn.at) <= spoken.at + FLOOD_WINDOW,
        )
    )
    return int(session.execute(query).scalar_one()) >= MAX_PER_HOUR


def _annotate(session: Session, event: int, kind: str, topic: str, sentiment: float) -> None:
    """Write what was understood onto the event, so that audiences may ask: replied with sentiment = "bad" within 30
    days."""
    row = session.get(Event, event)
    if row:
        row.properties = {**row.properties, "meant": kind, "about": topic, "sentiment": policy.mood_of(sentiment)}


def _start_response_clock(conversation: Conversation, care: CarePolicy, at: datetime, zone: str) -> None:
    """Open the conversation and start the clock of its rule, which runs from the contact's first words that have no
    answer yet."""
    waited = conversation.state == "open" and conversation.due_at is not None
    rule = care.rule_for(
        ConversationFacts(
            conversation.kind, conversation.topic, conversation.medium, conversation.language, conversation.sentiment
        )
    )
    conversation.last_inbound_at = max(conversation.last_inbound_at, at)
    if conversation.answered_at and conversation.answered_at >= at and conversation.state != "closed":
        return  # an older letter that came late: it has been answered
    conversation.state, conversation.closed_at = "open", None
    conversation.team, conversation.priority = rule.team, max(rule.priority, conversation.priority)
    clock = policy.response_due_at(care, rule.within, at, zone) if rule.within else None
    conversation.due_at = min(filter(None, [clock, conversation.due_at if waited else None]), default=None)


def escalate_overdue(session: Session, settings: Settings, now: datetime) -> int:
    """Escalate overdue conversations once: to their rule's team, at a higher priority."""
    care = policy.current_policy(settings.home)
    late = select(Conversation).where(
        col(Conversation.state) == "open", col(Conversation.due_at) <= now, col(Conversation.escalated_at).is_(None)
    )
    overdue = list(session.execute(late.with_for_update(skip_locked=True)).scalars())
    for conversation in overdue:
        rule = care.rule_for(
            ConversationFacts(
                conversation.kind,
                conversation.topic,
                conversation.medium,
                conversation.language,
                conversation.sentiment,
            )
        )
        conversation.escalated_at, conversation.priority = now, min(conversation.priority + 1, 9)
        conversation.team = rule.escalate or conversation.team
        audit(session, now, "care policy", "escalated", f"conversation:{conversation.id}", to=conversation.team)
    return len(overdue)


def get_conversation(session: Session, id_: int, *, locked: bool = False) -> Conversation:
    """Return a conversation. Raises Unknown."""
    conversation = session.get(Conversation, id_, with_for_update=locked)
    if conversation is None:
        raise Unknown(f"There is no conversation {id_}.")
    return conversation


def assign(session: Session, id_: int, assignee: str, *, actor: str, now: datetime) -> None:
    get_conversation(session, id_).assignee = assignee
    audit(session, now, actor, "assigned", f"conversation:{id_}", to=assignee)


def close_conversation(session: Session, id_: int, *, actor: str, now: datetime) -> Conversation:
    """Close a conversation. Raises Unknown; NotAllowed where it is closed already."""
    closing = update(Conversation).where(col(Conversation.id) == id_, col(Conversation.state) != "closed")
    closed = execute_update(session, closing.values(state="closed", closed_at=now, due_at=None, escalated_at=None))
    if not closed:
        get_conversation(session, id_)
        raise NotAllowed(f"Conversation {id_} is closed already.")
    audit(session, now, actor, "closed", f"conversation:{id_}")
    conversation = get_conversation(session, id_)
    session.refresh(conversation)
    return conversation


def record_answer(
    session: Session, id_: int, text: str, enrolment: int, name: str, *, actor: str, now: datetime
) -> None:
    """Record an answer of ours: the clock stops, and the conversation waits for the contact."""
    conversation = get_conversation(session, id_, locked=True)
    session.add(Turn(conversation_id=id_, at=now, author=actor, text=text, enrolment_id=enrolment, name=name))
    conversation.state, conversation.answered_at, conversation.due_at, conversation.escalated_at = (
        "answered",
        now,
        None,
        None,
    )
    audit(session, now, actor, "answered", f"conversation:{id_}", enrolment=enrolment)
