"""What people say in what came in, handed to their conversations."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from passaparola.channel.receiver import InboundText
from passaparola.conversations.threads import IncomingText, receive
from passaparola.inbound.identify import Told
from passaparola.settings import Settings


def hear(session: Session, settings: Settings, new: Sequence[Told], now: datetime) -> None:
    """Whatever of the new happenings is words of theirs, or a score."""
    for one in new:
        assert one.contact is not None
        said, score = one.said.text, one.said.properties.get("score")
        if one.said.kind == "survey_answered" and isinstance(score, int | float):
            said = InboundText(
                str(one.said.properties.get("comment") or ""), external_id=f"{one.row.source}:{one.said.id}"[:200]
            )
        elif said is None:
            continue
        about = one.said.message if one.ours else ""
        medium = one.said.medium or "email"
        number = score if one.said.kind == "survey_answered" and isinstance(score, int | float) else None
        receive(
            session, settings,
            IncomingText(one.contact, one.event_id, medium, one.row.source, min(one.said.at, now), said, about, number), now,
        )  # fmt: skip
