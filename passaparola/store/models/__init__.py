"""Every table, in reading order: people and what they allow, what they did, what we send, what is talked about, who
did what."""

from passaparola.store.models.contacts import Address, Consent, Contact, Merge, Proposal, SignUp, Suppression, Trait
from passaparola.store.models.conversations import Conversation, Turn
from passaparola.store.models.events import Activity, Event, EventName, KnownProperty, LinkEvent, PollCursor, RawBody
from passaparola.store.models.outbox import (
    Approval,
    Attempt,
    Batch,
    ChannelBackoff,
    ChannelIncident,
    Enrolment,
    Launch,
    Message,
    message_state,
    select_messages,
    wording_hash,
)
from passaparola.store.models.staff import Audit, Seal, Staff

__all__ = [
    "Activity",
    "Address",
    "Approval",
    "Attempt",
    "Audit",
    "Batch",
    "ChannelBackoff",
    "ChannelIncident",
    "Consent",
    "Contact",
    "Conversation",
    "Enrolment",
    "Event",
    "EventName",
    "KnownProperty",
    "Launch",
    "LinkEvent",
    "Merge",
    "Message",
    "PollCursor",
    "Proposal",
    "RawBody",
    "Seal",
    "SignUp",
    "Staff",
    "Suppression",
    "Trait",
    "Turn",
    "message_state",
    "select_messages",
    "wording_hash",
]
