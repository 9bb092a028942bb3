"""The recipients of a batch: one statement with all that rendering and the guards need of each."""

from functools import lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, case, func, literal, null, select
from sqlmodel import col

from passaparola.contacts.audience.compile import latest_consent
from passaparola.outbox import guards
from passaparola.outbox.guards import FrequencyCap, GuardContext
from passaparola.outbox.personal import EVENT, TRAITS
from passaparola.outbox.reasons import HoldReason
from passaparola.store.models import Address, Contact, Enrolment, Event, Message

OPEN = (col(Message.batch_id) == bindparam("batch"), col(Message.state).is_(None))


@lru_cache(maxsize=256)
def recipients_statement(context: GuardContext, cap: FrequencyCap | None, on_an_event: bool) -> Select[Any]:
    """Build the statement for a batch's recipients, once for all batches of a step: building it takes longer than
    running it for a small batch."""
    # A letter may wait for the morning, or for its distance from the last one; who leaves meanwhile gets it no more.
    left = case((col(Enrolment.outcome) == "left", literal(HoldReason.LEFT.text())), else_=null())
    people = (
        select(
            col(Message.enrolment_id),
            func.coalesce(left, guards.hold_reason(context, cap)).label("reason"),
            col(Address.value).label("address"),
            latest_consent(col(Contact.id), context.medium, "tracking").label("tracking"),
            col(Contact.traits),
            *(col(getattr(Contact, name)) for name in TRAITS),
            *(EVENT if on_an_event else ()),
        )
        .join(Enrolment, col(Enrolment.id) == col(Message.enrolment_id))
        .join(Contact, col(Contact.id) == col(Enrolment.contact_id))
        .outerjoin(Address, guards.address_written_to(context.medium))
        .where(*OPEN)
        .order_by(col(Message.enrolment_id))
    )
    return people.outerjoin(Event, col(Event.id) == col(Enrolment.event_id)) if on_an_event else people
