"""A launch's words to the public, network by network: each is somewhere of its own, or waits for something of its
own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from passaparola.channel import registry
from passaparola.store import incidents
from passaparola.store.models import (
    Conversation,
    Enrolment,
    Event,
    Launch,
    Message,
    Turn,
    message_state,
    select_messages,
)
from passaparola.store.states import MessageState


@dataclass(frozen=True)
class Post:
    """A launch's public post on one network: its state, why, and where it can be seen."""

    medium: str
    step: int
    state: str
    reason: str = ""
    url: str = ""
    comments: int = 0
    liked: int = 0
    shared: int = 0

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.state}{':' if self.reason else ''}", self.reason, self.url) if part)


def paused_media(session: Session, launch: Launch) -> dict[str, str]:
    """Return the media whose channel is paused, with the reason."""
    carried = {channel: medium for medium, channel in launch.content["channels"].items()}
    stopped = (incident for incident in incidents.open_incidents(session) if incident.direction == "sending")
    return {carried[stop.channel]: stop.reason for stop in stopped if stop.channel in carried}


def launch_posts(session: Session, launch: Launch, paused: Mapping[str, str]) -> list[Post]:
    public = (
        select_messages(
            col(Message.medium), col(Message.step), message_state(), col(Message.reason), col(Message.receipt)
        )
        .where(col(Enrolment.launch_id) == launch.id, col(Enrolment.contact_id).is_(None))
        .order_by(col(Message.step), col(Message.medium))
    )
    posts = []
    for medium, step, state, reason, receipt in session.execute(public):
        why = reason or (paused.get(medium, "") if state == MessageState.QUEUED else "")
        carried = registry.sender_class(launch.content["channels"][medium])
        url = carried.post_url(receipt) if receipt and state == MessageState.SENT else ""
        posts.append(
            Post(medium, step, state, why, url, **_post_reactions(session, medium, receipt) if receipt else {})
        )
    return posts


def _post_reactions(session: Session, medium: str, receipt: str) -> dict[str, int]:
    """Return what people said under a post, and how many liked it or passed it on, as far as the network tells."""
    query = (
        select(func.count())
        .select_from(Turn)
        .join(Conversation, col(Conversation.id) == col(Turn.conversation_id))
        .where(col(Conversation.medium) == medium, col(Conversation.thread) == receipt, col(Turn.author) == "")
    )
    post: Any = col(Event.properties)["post"]
    reacted = (
        select(col(Event.kind), func.count())
        .where(col(Event.kind).in_(["liked", "shared"]), col(Event.medium) == medium, post.as_string() == receipt)
        .group_by(col(Event.kind))
    )
    return {
        "comments": session.execute(query).scalar_one(),
        **{str(kind): int(count) for kind, count in session.execute(reacted)},
    }
