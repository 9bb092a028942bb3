"""The reasons for which a message is held, in a marketer's words: a closed list (docs/marketers.md explains each)."""

from enum import StrEnum


class HoldReason(StrEnum):
    """Why a message was not sent. Names in braces are filled in by `text`."""

    NO_ADDRESS = "no {address}"
    ERASED = "asked to be forgotten"
    SUPPRESSED = "suppressed: {why}"
    WINDOW_CLOSED = "last wrote on {network} more than {hours:g} hours ago; later only an approved template may be sent"
    MUTED = "muted {topic} by {medium}"
    SAID_NO = "said no to {topic} by {medium}"
    NEVER_SAID_YES = "never said yes to {topic} by {medium}"
    PAUSED = "asked for a pause"
    CARE_FIRST = "care first: an open {kind}"
    WANTS_FEWER = "wants fewer messages a week"
    FREQUENCY_CAP = "had {most} messages in {days} days"
    KEPT_FOR_PRIORITY = "the last of {most} messages in {days} days is kept for a campaign that goes first"
    ALREADY_SENT = "already had this very message"
    ALREADY_PENDING = "gets this very message from an earlier launch"
    ALREADY_POSTED = "already posted this very text"
    TOO_LATE = "too late: more than {allowed}"
    LEFT = "left the campaign before it went out"
    RECALLED = "the launch was recalled"

    def text(self, **places: object) -> str:
        return self.format(**places)

    @property
    def prefix(self) -> str:
        """What stands before the first place, for a query that appends a column to it."""
        return self.partition("{")[0]
