"""Every table, in reading order: people and what they allow, what they did, what we send, what is talked about, who did what."""

from passaparola.store.models.contacts import Address, Consent, Contact, Merge, Proposal, SignUp, Suppression, Trait
from passaparola.store.models.conversations import Conversation, Turn
from passaparola.store.models.events import Activity, Event, EventName, Intake, Listened, Property
from passaparola.store.models.outbox import (
    Approval,
    Attempt,
    Batch,
    Enrolment,
    Launch,
    Message,
    Rest,
    Trouble,
    message_state,
    wording_of,
)
from passaparola.store.models.staff import Audit, Seal, Staff

__all__ = [
    "Activity", "Address", "Approval", "Attempt", "Audit", "Batch", "Consent", "Contact", "Conversation", "Enrolment",
    "Event", "EventName", "Intake", "Launch", "Listened", "Merge", "Message", "Property", "Proposal", "Rest", "Seal", "SignUp", "Staff", "Suppression",
    "Trait", "Trouble", "Turn", "message_state", "wording_of",
]  # fmt: skip
