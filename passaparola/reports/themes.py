"""What people say: by topic and mood, with a few of their own sentences. The sentences stay in the house, the counts
may travel."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from passaparola.conversations.care import mood_of
from passaparola.store.models import Conversation, Turn

MAX_QUOTES, MAX_QUOTE_CHARS = 3, 180


@dataclass
class Theme:
    """What people say about one topic."""

    count: int = 0
    moods: dict[str, int] = field(default_factory=lambda: {"good": 0, "neutral": 0, "bad": 0})
    kinds: dict[str, int] = field(default_factory=dict)
    examples: list[tuple[str, str]] = field(default_factory=list)  # (mood, sentence)


def find_themes(session: Session, now: datetime, days: int = 30) -> dict[str, Theme]:
    query = (
        select(Conversation, col(Turn.text))
        .join(Turn, col(Turn.conversation_id) == col(Conversation.id))
        .where(
            col(Turn.author) == "",
            ~col(Turn.automatic),
            col(Conversation.last_inbound_at) >= now - timedelta(days=days),
        )
        .order_by(col(Turn.at).desc(), col(Turn.id).desc())
    )
    by_name: dict[str, Theme] = {}
    counted: set[int] = set()
    for conversation, text in session.execute(query):
        voice = by_name.setdefault(conversation.topic or "anything else", Theme())
        feeling = mood_of(conversation.sentiment)
        if conversation.id not in counted:
            counted.add(conversation.id)
            voice.count += 1
            voice.moods[feeling] += 1
            voice.kinds[conversation.kind] = voice.kinds.get(conversation.kind, 0) + 1
        if len(voice.examples) < MAX_QUOTES and text.strip():
            voice.examples.append((feeling, " ".join(text.split())[:MAX_QUOTE_CHARS]))
    return dict(sorted(by_name.items(), key=lambda pair: -pair[1].count))


def without_quotes(by_name: dict[str, Theme]) -> dict[str, Any]:
    """Dump themes without anybody's words."""
    return {
        topic: {"count": voice.count, "moods": voice.moods, "kinds": voice.kinds} for topic, voice in by_name.items()
    }
