"""Every table, in reading order: people and what they allow, what they did, what we send, what is talked about, who did what."""

from contacts.models.acting import Audit, Seal, Staff
from contacts.models.conversations import Conversation, Turn
from contacts.models.hearing import Activity, Event, EventName, Intake, Listened, Property
from contacts.models.people import Address, Consent, Contact, Merge, Proposal, SignUp, Suppression, Trait
from contacts.models.sending import (
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

__all__ = [
    "Activity", "Address", "Approval", "Attempt", "Audit", "Batch", "Consent", "Contact", "Conversation", "Enrolment",
    "Event", "EventName", "Intake", "Launch", "Listened", "Merge", "Message", "Property", "Proposal", "Rest", "Seal", "SignUp", "Staff", "Suppression",
    "Trait", "Trouble", "Turn", "message_state", "wording_of",
]  # fmt: skip
