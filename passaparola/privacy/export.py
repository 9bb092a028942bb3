"""Everything we know of one person, for them to read and to take elsewhere (GDPR, articles 15 and 20). Nobody
else's."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from passaparola.errors import Unknown
from passaparola.store.models import (
    Address,
    Batch,
    Consent,
    Contact,
    Conversation,
    Enrolment,
    Event,
    Launch,
    Merge,
    Message,
    SignUp,
    Suppression,
    Turn,
    message_state,
    select_messages,
)

INTERNAL_FIELDS = {"to", "attempt", "smtp_id"}  # our keys and the provider's


def export_contact(session: Session, contact_id: int, now: datetime) -> dict[str, Any]:
    """Export a contact as plain values. Raises Unknown."""
    person = session.get(Contact, contact_id)
    if person is None:
        raise Unknown(f"There is no contact {contact_id}.")
    mine = {"contact_id": contact_id}
    return {
        "made_at": now.isoformat(),
        "person": _jsonable(person.model_dump(exclude={"merged_into"})),
        "addresses": [
            _jsonable(row.model_dump(exclude={"key", "contact_id"})) for row in _rows(session, Address, mine)
        ],
        "consents": [_jsonable(row.model_dump(exclude={"contact_id"})) for row in _rows(session, Consent, mine)],
        "never_written_to": _suppressed(session, contact_id),
        "sign_ups": [
            _jsonable(row.model_dump(exclude={"contact_id", "address"})) for row in _rows(session, SignUp, mine)
        ],
        "events": [_event(row) for row in _rows(session, Event, mine)],
        "messages": _messages(session, contact_id),
        "conversations": [_conversation(session, row) for row in _rows(session, Conversation, mine)],
        "joined": [
            _jsonable({"at": row.at, "reasons": row.reasons, "fields": row.fields})
            for row in _rows(session, Merge, {"kept_id": contact_id})
            if row.undone_at is None
        ],
    }


def _rows(session: Session, table: Any, by: dict[str, Any]) -> list[Any]:
    chosen = select(table).where(*(col(getattr(table, name)) == value for name, value in by.items()))
    key = table.id if hasattr(table, "id") else table.value
    return list(session.execute(chosen.order_by(key)).scalars())


def _event(row: Event) -> dict[str, Any]:
    fields = row.model_dump(include={"kind", "at", "source", "amount", "currency", "medium", "machine"})
    return _jsonable({**fields, "properties": {k: v for k, v in row.properties.items() if k not in INTERNAL_FIELDS}})


def _suppressed(session: Session, contact_id: int) -> list[dict[str, Any]]:
    chosen = select(Suppression).join(Address, col(Address.key) == col(Suppression.key))
    rows = session.execute(chosen.where(col(Address.contact_id) == contact_id)).scalars()
    return [_jsonable(row.model_dump(exclude={"key"})) for row in rows]


def _messages(session: Session, contact_id: int) -> list[dict[str, Any]]:
    chosen = (
        select_messages(
            col(Launch.campaign),
            col(Message.medium),
            message_state().label("state"),
            col(Message.reason),
            col(Batch.finished_at),
        )
        .join(Launch, col(Launch.id) == col(Enrolment.launch_id))
        .where(col(Enrolment.contact_id) == contact_id)
        .order_by(col(Message.enrolment_id), col(Message.step))
    )
    return [_jsonable(dict(row._mapping)) for row in session.execute(chosen)]


def _conversation(session: Session, conversation: Conversation) -> dict[str, Any]:
    turns = _rows(session, Turn, {"conversation_id": conversation.id})
    fields = conversation.model_dump(
        include={"medium", "subject", "state", "kind", "topic", "language", "sentiment", "opened_at"}
    )
    return _jsonable(fields) | {
        "turns": [_jsonable({"at": turn.at, "by": turn.author or "you", "text": turn.text}) for turn in turns]
    }


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
        if value not in (None, "", {}, [])
    }
