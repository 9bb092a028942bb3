"""A contact's timeline: what they did, what we sent, what was said, what they allowed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from passaparola.store.models import (
    Batch,
    Consent,
    Conversation,
    Enrolment,
    Event,
    Launch,
    Merge,
    Message,
    Turn,
    message_state,
    select_messages,
)

MAX_TEXT_CHARS = 400


@dataclass(frozen=True)
class TimelineEntry:
    """One line of a timeline. `side` is theirs, ours or the system's; `to` is where the console shows more."""

    at: datetime
    side: str
    what: str
    detail: str = ""
    to: str = ""


def contact_timeline(session: Session, contact_id: int, most: int = 150) -> list[TimelineEntry]:
    """Build a contact's timeline, newest first."""
    entries = [
        *_events(session, contact_id, most),
        *_consents(session, contact_id),
        *_messages(session, contact_id, most),
        *_turns(session, contact_id, most),
        *_merges(session, contact_id),
    ]
    return sorted(entries, key=lambda moment: moment.at, reverse=True)[:most]


def _events(session: Session, contact_id: int, most: int) -> list[TimelineEntry]:
    chosen = select(Event).where(col(Event.contact_id) == contact_id).order_by(col(Event.at).desc()).limit(most)
    entries = []
    for row in session.execute(chosen).scalars():
        if row.kind in ("replied", "mentioned") and row.medium:
            continue  # their words are shown with the conversation
        named = [
            str(row.properties[name])
            for name in ("order_id", "url", "reason", "because", "comment")
            if row.properties.get(name)
        ]
        money = [f"{row.amount / 100:,.2f} {row.currency}"] if row.amount is not None and row.currency else []
        score = [f"score {row.properties['score']:g}"] if isinstance(row.properties.get("score"), int | float) else []
        by = ["a machine, not counted"] if row.machine else []
        campaign = [str(row.properties["campaign"])] if row.properties.get("campaign") else []
        what = row.kind.replace("_", " ")
        entries.append(
            TimelineEntry(row.at, "theirs", what, ", ".join(by + campaign + money + score + named)[:MAX_TEXT_CHARS])
        )
    return entries


def _consents(session: Session, contact_id: int) -> list[TimelineEntry]:
    rows = session.execute(select(Consent).where(col(Consent.contact_id) == contact_id)).scalars()
    return [
        TimelineEntry(
            row.at,
            "theirs",
            f"said {'yes' if row.granted else 'no'} to "
            f"{'everything' if row.topic == '*' else row.topic.replace('_', ' ')}",
            f"by {row.medium}, {row.basis.replace('_', ' ')}, {row.source}",
        )
        for row in rows
    ]


def _messages(session: Session, contact_id: int, most: int) -> list[TimelineEntry]:
    chosen = (
        select_messages(
            func.coalesce(col(Batch.finished_at), col(Batch.due_at), col(Enrolment.due_at)).label("at"),
            col(Launch.campaign),
            col(Message.medium),
            message_state().label("state"),
            col(Message.reason),
        )
        .join(Launch, col(Launch.id) == col(Enrolment.launch_id))
        .where(col(Enrolment.contact_id) == contact_id)
        .order_by(col(Message.enrolment_id).desc())
        .limit(most)
    )
    entries = []
    for row in session.execute(chosen):
        is_transactional = row.campaign.startswith("_")
        name = row.campaign.removeprefix("_").replace("_", " ")
        to = "" if is_transactional else f"/console/campaigns/{row.campaign}"
        entries.append(TimelineEntry(row.at, "ours", f"{name} by {row.medium}: {row.state}", row.reason or "", to))
    return entries


def _turns(session: Session, contact_id: int, most: int) -> list[TimelineEntry]:
    chosen = (
        select(Turn, Conversation)
        .join(Conversation, col(Conversation.id) == col(Turn.conversation_id))
        .where(col(Conversation.contact_id) == contact_id)
        .order_by(col(Turn.at).desc())
        .limit(most)
    )
    rows: Any = session.execute(chosen)
    return [
        TimelineEntry(
            turn.at,
            "ours" if turn.author else "theirs",
            f"{turn.author or 'wrote'} by {conversation.medium}",
            turn.text[:MAX_TEXT_CHARS],
            f"/console/inbox/{conversation.id}",
        )
        for turn, conversation in rows
    ]


def _merges(session: Session, contact_id: int) -> list[TimelineEntry]:
    rows = session.execute(select(Merge).where(col(Merge.kept_id) == contact_id)).scalars()
    return [
        TimelineEntry(
            row.at,
            "system",
            f"one with contact {row.merged_id}",
            "; ".join(row.reasons) + (" (undone)" if row.undone_at else ""),
        )
        for row in rows
    ]
