"""A campaign before it happens: the real statements on a fake clock, in a copy of the store, which changes nothing."""

from passaparola.rehearsal.assumption import Assumption
from passaparola.rehearsal.playback import play_in_place, rehearse
from passaparola.rehearsal.result import PlannedMessage, Rehearsal, TimelineLine

__all__ = ["Assumption", "PlannedMessage", "Rehearsal", "TimelineLine", "play_in_place", "rehearse"]
