"""Named places where a test may end the process: `FAILPOINT=claimed:2` kills it at the second passing.

Outside tests a passing costs one comparison. The list is closed: tests/ledger passes every name.
"""

import os
import signal

NAMES = (
    "frozen",  # the launch's content and audience are written, not committed
    "released",  # the launch is set going, not committed
    "advanced",  # a step's messages are planned and its people moved on, not committed
    "claimed",  # a batch is chosen, nothing is written
    "guarded",  # the guards have spoken
    "rendered",  # every message of the batch is ready
    "attempt_written",  # the attempt is written, not committed
    "reserved",  # the reservation is committed; the next thing is the call
    "half_written",  # part of the request is on the wire
    "accepted",  # the provider's answer has arrived, unread
    "answered",  # the answer is understood, nothing of it is written
    "recorded",  # the outcome is written, not committed
    "audited",  # the outcome is committed
    "reconciled",  # a look-up has answered, nothing of it is written
)

_armed, _left, _action = "", 0, "kill"


def arm(name: str, passing: int = 1, action: str = "kill") -> None:
    """Arm a failpoint. `action`: kill ends the process, freeze stops it until someone sends SIGCONT."""
    global _armed, _left, _action
    if name and name not in NAMES:
        raise ValueError(f"there is no failpoint {name}")
    _armed, _left, _action = name, passing, action


def failpoint(name: str) -> None:
    if name == _armed:
        _reached()


def _reached() -> None:
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGSTOP if _action == "freeze" else signal.SIGKILL)


_name, _, _passing = os.environ.get("FAILPOINT", "").partition(":")
arm(_name, int(_passing or 1), os.environ.get("FAILPOINT_ACTION", "kill"))
