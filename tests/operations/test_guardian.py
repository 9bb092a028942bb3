"""Nothing outlives what started it, and what was ended in order is left alone."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from passaparola.operations import guardian
from tests.conftest import ROOT

SLEEPS = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {SLEEPS}"


@contextmanager
def child(code: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        yield process
    finally:
        guardian._signal_group(process.pid, 9)
        process.wait()


def guarded(lines: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "passaparola.operations.guardian"],
        cwd=ROOT,
        input=lines.encode(),
        timeout=60,
        check=True,
    )


def ended(process: "subprocess.Popen[bytes]") -> bool:
    """With its own child, which is in its group."""
    process.wait(timeout=30)
    for _ in range(100):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_when_the_parent_is_gone_its_children_and_theirs_end() -> None:
    with child(SLEEPS) as one, child(SLEEPS) as other:
        time.sleep(0.5)
        guarded(f"process {one.pid}\nprocess {other.pid}\n")
        assert ended(one)
        assert ended(other)


def test_who_does_not_go_when_asked_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian, "STOP_TIMEOUT_SECONDS", 0.3)
    with child(DEAF) as one:
        time.sleep(0.5)
        guardian.end_groups([one.pid])
        assert ended(one)


def test_what_was_ended_in_order_is_left_alone() -> None:
    with child(SLEEPS) as one:
        guarded(f"process {one.pid}\nover\n")
        assert one.poll() is None


def test_a_database_that_is_not_there_is_no_reason_to_fail(tmp_path: Path) -> None:
    guarded(f"postgres {tmp_path}\n")
