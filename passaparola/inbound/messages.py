"""Look-up of the messages that events came back from."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlmodel import Session, col

from passaparola.channel.message_ids import MessageId
from passaparola.contacts import merging
from passaparola.store.bulk import in_values
from passaparola.store.models import Batch, Enrolment, Launch, Message, message_state, select_messages
from passaparola.store.states import MessageState

LATE_BOUNCE = timedelta(days=7)


@dataclass(frozen=True)
class MessageRef:
    """A message of ours: its id, its contact by now (None: a public post), and what its launch is about."""

    id: MessageId
    contact: int | None
    launch: int
    campaign: str
    topic: str


def load_messages(session: Session, names: Collection[str]) -> dict[str, MessageRef]:
    """Look messages up by their names, `12-0-email`. A name that is none of ours is not in the result."""
    ids = {name: id_ for name in names if (id_ := MessageId.parse(name))}
    if not ids:
        return {}
    chosen = select(col(Enrolment.id), col(Enrolment.contact_id), col(Enrolment.launch_id)).where(
        in_values(session, col(Enrolment.id), {id_.enrolment for id_ in ids.values()})
    )
    enrolments = {row.id: row for row in session.execute(chosen)}
    launches = _load_launches(session, {row.launch_id for row in enrolments.values()})
    contacts = merging.resolve_contacts(session, {row.contact_id for row in enrolments.values() if row.contact_id})
    messages = {}
    for name, id_ in ids.items():
        if row := enrolments.get(id_.enrolment):
            contact = contacts[row.contact_id] if row.contact_id else None
            messages[name] = MessageRef(id_, contact, row.launch_id, *launches[row.launch_id])
    return messages


def _load_launches(session: Session, launches: Collection[int]) -> dict[int, tuple[str, str]]:
    """Return campaign and topic of each launch. Content is large, so it is not read once a message."""
    chosen = select(col(Launch.id), col(Launch.campaign), col(Launch.content)["topic"].as_string())
    rows = session.execute(chosen.where(col(Launch.id).in_(launches)))
    return {launch: (campaign, topic or "") for launch, campaign, topic in rows}


def last_sent(session: Session, contact: int, medium: str, before: datetime) -> str:
    """Find the last message that went out to a contact within a week before a moment. Return its name, or empty.

    A bounce that comes late has lost the name of its message.
    """
    left_at = func.coalesce(col(Batch.finished_at), col(Batch.claimed_at))
    sent = (
        select_messages(col(Message.enrolment_id), col(Message.step), col(Message.medium))
        .where(
            col(Enrolment.contact_id) == contact,
            col(Message.medium) == medium,
            message_state() == MessageState.SENT,
            left_at <= before,
            left_at >= before - LATE_BOUNCE,
        )
        .order_by(left_at.desc(), col(Message.enrolment_id).desc())
    )
    row = session.execute(sent.limit(1)).first()
    return str(MessageId(*row)) if row else ""
