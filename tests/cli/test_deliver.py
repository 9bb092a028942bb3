"""A worker by the command line: it ends when it is told to, and not when the database does."""

import subprocess
import sys
import time

import pytest

from passaparola.settings import Settings
from passaparola.store.database import Store
from tests.conftest import NOW, ROOT
from tests.faults.outages import away
from tests.outbox.test_guards import released, reworded
from tests.people import crowd


def test_a_worker_that_watches_ends_well_when_it_is_told_to(store: Store, settings: Settings) -> None:
    """Also between two looks, when nothing is on its way."""
    crowd(store, 2, NOW)
    watching = subprocess.Popen(
        [sys.executable, "-m", "passaparola.cli.main", "deliver", "--watch"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        released(store, settings)
        until = time.monotonic() + 60
        while time.monotonic() < until and not (settings.var / "mailbox" / "email" / "new").is_dir():
            time.sleep(0.2)
        time.sleep(1.5)
        watching.terminate()
        assert watching.wait(timeout=30) == 0
        assert len(list((settings.var / "mailbox" / "email" / "new").iterdir())) == 2
    finally:
        watching.kill()
        watching.communicate()


def arrived(settings: Settings, count: int) -> None:
    box = settings.var / "mailbox" / "email" / "new"
    until = time.monotonic() + 90
    while time.monotonic() < until and not (box.is_dir() and len(list(box.iterdir())) >= count):
        time.sleep(0.2)
    assert len(list(box.iterdir())) == count


def test_a_worker_that_watches_outlives_a_database_that_is_away(store: Store, settings: Settings) -> None:
    if store.on_sqlite:
        pytest.skip("a file is never away")
    crowd(store, 2, NOW)
    watching = subprocess.Popen(
        [sys.executable, "-m", "passaparola.cli.main", "deliver", "--watch"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stderr is not None
        released(store, settings)
        arrived(settings, 2)
        with away(store):
            time.sleep(4)
            assert watching.poll() is None
        reworded(settings)
        released(store, settings)
        arrived(settings, 4)
        watching.terminate()
        assert watching.wait(timeout=30) == 0
    finally:
        watching.kill()
        watching.communicate()
