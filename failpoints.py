"""Named places where a test may end the process: `FAILPOINT=claimed:2` kills it at the second passing.

Outside tests a passing costs one comparison. The list is closed: tests/ledger exercises every name.
"""

import os
import signal
import time

NAMES = (
    "frozen",  # the launch's content and audience are written, not committed
    "planned",  # messages and batches are written, not committed
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

_armed, _, _count = os.environ.get("FAILPOINT", "").partition(":")
_left = int(_count or 1)
_action = os.environ.get("FAILPOINT_ACTION", "kill")


def failpoint(name: str) -> None:
    if name == _armed:
        _reached(name)


def _reached(name: str) -> None:
    global _left
    _left -= 1
    if _left:
        return
    if log := os.environ.get("FAILPOINT_LOG"):
        with open(log, "a") as file:
            file.write(f"{name} {os.getpid()}\n")
    if _action == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif _action == "sleep":
        time.sleep(float(os.environ.get("FAILPOINT_SECONDS", "1")))
    else:
        os.kill(os.getpid(), signal.SIGKILL)
