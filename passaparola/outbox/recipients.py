"""The recipients of a batch: one statement with all that rendering and the guards need of each."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Select, String, bindparam, case, func, literal, null, select
from sqlmodel import Session, col

from passaparola.contacts.audience.compile import latest_consent
from passaparola.outbox import guards
from passaparola.outbox.guards import FrequencyCap, GuardContext
from passaparola.outbox.reasons import HoldReason
from passaparola.store.models import Address, Contact, Enrolment, Event, Message

TRAITS = ("first_name", "last_name", "language", "country", "city", "time_zone", "birthday")


class Recipient(NamedTuple):
    """A message of a batch and its contact. Of a public post there are the first two fields only; of the event there
    is something where one started the enrolment, and was not deleted since."""

    enrolment_id: int
    reason: str | None  # why the message is held; None: it may be sent
    address: str = ""
    tracking: bool | None = None
    traits: Mapping[str, Any] = {}
    first_name: str | None = None
    last_name: str | None = None
    language: str | None = None
    country: str | None = None
    city: str | None = None
    time_zone: str | None = None
    birthday: str | None = None
    event_kind: str | None = None
    event_at: datetime | None = None
    event_amount: int | None = None
    event_currency: str | None = None
    event_properties: Mapping[str, Any] | None = None


_OPEN = (col(Message.batch_id) == bindparam("batch"), col(Message.state).is_(None))
_POST = select(col(Message.enrolment_id), bindparam("reason", type_=String())).where(*_OPEN)
_EVENT = {f"event_{name}": col(getattr(Event, name)) for name in ("kind", "at", "amount", "currency", "properties")}


def load_recipients(
    session: Session,
    batch_id: int,
    context: GuardContext,
    cap: FrequencyCap | None,
    *,
    on_event: bool,
    now: datetime,
    wording: str,
) -> list[Recipient]:
    """Load a batch's open messages with their contacts, each with the reason to hold it, if any. `on_event`: an event
    starts the campaign; `wording` is the hash of what is read."""
    parameters = {**guards.guard_instants(context, cap, now), "batch": batch_id, "read": wording}
    return [Recipient(*row) for row in session.execute(_statement(context, cap, on_event), parameters)]


def load_post(session: Session, batch_id: int, reason: str | None) -> list[Recipient]:
    """Load a batch's public post, with the reason to hold it, if any."""
    return [Recipient(*row) for row in session.execute(_POST, {"batch": batch_id, "reason": reason})]


@lru_cache(maxsize=256)
def _statement(context: GuardContext, cap: FrequencyCap | None, on_event: bool) -> Select[Any]:
    """Build the statement once for all batches of a step: building it takes longer than running it for a small
    batch. Its columns are the fields of Recipient."""
    # A message may wait for the morning, or for its distance from the last one; whoever leaves meanwhile gets none.
    left = case((col(Enrolment.outcome) == "left", literal(HoldReason.LEFT.text())), else_=null())
    columns: dict[str, Any] = {
        "enrolment_id": col(Message.enrolment_id),
        "reason": func.coalesce(left, guards.hold_reason(context, cap)),
        "address": col(Address.value),
        "tracking": latest_consent(col(Contact.id), context.medium, "tracking"),
        "traits": col(Contact.traits),
        **{name: col(getattr(Contact, name)) for name in TRAITS},
        **(_EVENT if on_event else {}),
    }
    people = (
        select(*(columns[name].label(name) for name in Recipient._fields if name in columns))
        .join(Enrolment, col(Enrolment.id) == col(Message.enrolment_id))
        .join(Contact, col(Contact.id) == col(Enrolment.contact_id))
        .outerjoin(Address, guards.address_written_to(context.medium))
        .where(*_OPEN)
        .order_by(col(Message.enrolment_id))
    )
    return people.outerjoin(Event, col(Event.id) == col(Enrolment.event_id)) if on_event else people
