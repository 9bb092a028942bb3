"""The states of a message, and which may follow which. A batch has them, too: its messages share its state until one
gets its own.

    queued ──▶ sending ──▶ sent          sent: the provider accepted it, or evidence says so
       │ ▲        │ │
       │ └────────┘ ├──▶ unknown ──▶ sent, failed, queued        only evidence decides
       │            └──▶ failed          the provider refused it
       └──▶ held, failed                 a guard spoke against it, or it could not be rendered
"""

from collections.abc import Mapping
from enum import StrEnum


class MessageState(StrEnum):
    """What became of a message. `recalled` is only a batch's: the messages in it are held."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    HELD = "held"
    FAILED = "failed"
    UNKNOWN = "unknown"
    RECALLED = "recalled"


TRANSITIONS: Mapping[MessageState, frozenset[MessageState]] = {
    MessageState.QUEUED: frozenset(
        {MessageState.SENDING, MessageState.HELD, MessageState.FAILED, MessageState.UNKNOWN, MessageState.RECALLED}
    ),  # unknown: a backup was put back
    MessageState.SENDING: frozenset(
        {MessageState.QUEUED, MessageState.SENT, MessageState.FAILED, MessageState.UNKNOWN}
    ),  # queued: the provider was away, or asked us to wait
    MessageState.UNKNOWN: frozenset(
        {MessageState.SENT, MessageState.FAILED, MessageState.QUEUED}
    ),  # queued: the answer came after all, and says that nothing was accepted
    MessageState.HELD: frozenset({MessageState.QUEUED}),  # care is over, and what was held goes out
    MessageState.SENT: frozenset(),
    MessageState.FAILED: frozenset(),
    MessageState.RECALLED: frozenset(),
}
FINAL_STATES = (MessageState.SENT, MessageState.HELD, MessageState.FAILED, MessageState.UNKNOWN)


def may_become(before: str, after: str) -> bool:
    """Return whether a message may go from one state to another, at once or over others in between."""
    reached, ahead = {before}, [MessageState(before)]
    while ahead:
        new = TRANSITIONS[ahead.pop()] - reached
        reached |= new
        ahead += new
    return after in reached
