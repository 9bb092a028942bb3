"""What people say: by topic and mood, with a few of their own sentences. The sentences stay in the house, the counts may travel."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from passaparola.conversations.care import mood
from passaparola.store.models import Conversation, Turn

EXAMPLES, LONGEST = 3, 180


@dataclass
class Voice:
    """One topic."""

    count: int = 0
    moods: dict[str, int] = field(default_factory=lambda: {"good": 0, "neutral": 0, "bad": 0})
    kinds: dict[str, int] = field(default_factory=dict)
    examples: list[tuple[str, str]] = field(default_factory=list)  # (mood, sentence)


def voices(session: Session, now: datetime, days: int = 30) -> dict[str, Voice]:
    said = (
        select(Conversation, col(Turn.text))
        .join(Turn, col(Turn.conversation_id) == col(Conversation.id))
        .where(col(Turn.author) == "", ~col(Turn.automatic), col(Conversation.heard_at) >= now - timedelta(days=days))
        .order_by(col(Turn.at).desc(), col(Turn.id).desc())
    )
    found: dict[str, Voice] = {}
    counted: set[int] = set()
    for one, text in session.execute(said):
        voice = found.setdefault(one.topic or "anything else", Voice())
        feeling = mood(one.sentiment)
        if one.id not in counted:
            counted.add(one.id)
            voice.count += 1
            voice.moods[feeling] += 1
            voice.kinds[one.kind] = voice.kinds.get(one.kind, 0) + 1
        if len(voice.examples) < EXAMPLES and text.strip():
            voice.examples.append((feeling, " ".join(text.split())[:LONGEST]))
    return dict(sorted(found.items(), key=lambda pair: -pair[1].count))


def counts(found: dict[str, Voice]) -> dict[str, Any]:
    """Without anybody's words."""
    return {topic: {"count": voice.count, "moods": voice.moods, "kinds": voice.kinds} for topic, voice in found.items()}
