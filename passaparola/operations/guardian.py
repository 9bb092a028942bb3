"""End whatever outlives what started it: when `up` is killed, its processes and Prefect's database end, too.

python -m passaparola.operations.guardian, started by operations/stack.py. It reads on standard input what there is,
`process PID` or `postgres FOLDER`, and `over` when all of it was ended in order. The end of input without that means
that nobody is left to do it.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

STOP_TIMEOUT_SECONDS = 10.0  # seconds


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends the others must not end it first
    groups: list[int] = []
    folders: list[Path] = []
    for line in sys.stdin:
        what, _, of = line.strip().partition(" ")
        if what == "over":
            return
        if what == "process":
            groups.append(int(of))
        else:
            folders.append(Path(of))
    end_groups(reversed(groups))
    for folder in folders:
        end_postgres(folder)


def end_groups(groups: Iterable[int]) -> None:
    """End process groups: each is asked first, and killed where it does not end."""
    left = [group for group in groups if _signal_group(group, signal.SIGINT)]
    until = time.monotonic() + STOP_TIMEOUT_SECONDS
    while time.monotonic() < until and (left := [group for group in left if _signal_group(group, 0)]):
        time.sleep(0.1)
    for group in left:
        _signal_group(group, signal.SIGKILL)


def end_postgres(folder: Path) -> None:
    """End a PostgreSQL server. A fast shutdown: https://www.postgresql.org/docs/current/server-shutdown.html"""
    with suppress(OSError, ValueError, IndexError):
        os.kill(int((folder / "postmaster.pid").read_text().splitlines()[0]), signal.SIGINT)


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
        return True
    except (ProcessLookupError, PermissionError):
        return False


if __name__ == "__main__":
    main()
