"""Count the messages of the contact that an outer query is about."""

from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, func, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from passaparola.store.models import (
    Batch,
    Contact,
    Enrolment,
    Launch,
    Message,
)
from passaparola.store.states import MessageState


def recent_messages(since: BindParameter[datetime]) -> ColumnElement[int]:
    """Count the messages that went out, are going out or may have gone out to this contact, whatever the campaign."""
    other, message, batch = aliased(Enrolment), aliased(Message), aliased(Batch)
    return (
        _to_this_contact(select(func.count()), other, message, batch)
        .where(
            func.coalesce(message.state, batch.state).in_(
                [MessageState.SENDING, MessageState.SENT, MessageState.UNKNOWN]
            ),
            func.coalesce(batch.finished_at, batch.claimed_at) >= since,
            col(batch.launch_id).not_in(_uncapped_launches()),
        )
        .correlate(Contact)
        .scalar_subquery()
    )


def _uncapped_launches() -> Select[Any]:
    """Return the transactional launches, which count for no cap."""
    return select(col(Launch.id)).where(col(Launch.transactional))


def pending_messages(launches: tuple[int, ...]) -> ColumnElement[int]:
    """Count the messages that those launches have queued for this contact."""
    other, message, batch = aliased(Enrolment), aliased(Message), aliased(Batch)
    return (
        _to_this_contact(select(func.count()), other, message, batch)
        .where(
            col(batch.launch_id).in_(launches),
            col(batch.state) == MessageState.QUEUED,
            col(message.state).is_(None),
        )
        .correlate(Contact)
        .scalar_subquery()
    )


def _to_this_contact(
    chosen: Select[Any], other: type[Enrolment], message: type[Message], batch: type[Batch]
) -> Select[Any]:
    return (
        chosen.select_from(other)
        .join(message, col(message.enrolment_id) == col(other.id))
        .join(batch, col(batch.id) == col(message.batch_id))
        .where(col(other.contact_id) == col(Contact.id))
    )
