"""One send from the question to the last record, measured inside: prints the seconds of its planning and of its sending, and
the peak KB of the sending process.

python -m bench.path DATABASE SIZE [WORKERS [PEOPLE]]      PEOPLE: fills the store with so many, and sends nothing
"""

import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import campaign, environment
from passaparola import engine
from passaparola.journeys import launch
from passaparola.outbox.deliver import Drain, run_on_uvloop
from passaparola.outbox.ledger import tally_launch
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store


def main(database: str, size: int, workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        campaign.house(home)
        settings = Settings(home=home, database_url=database, secret_key="x")
        store = Store(settings.database).open()
        environment.filled(store, size)
        others = [_other(database, folder) for _ in range(workers - 1)]
        path = home / "campaigns" / "measured.yaml"
        path.write_text(path.read_text().replace("Measured", f"Measured {time.time()}"))
        now = datetime.now(UTC)
        freeze = freezer(settings)
        began = time.perf_counter()
        made = launch.prepare(store, settings, "measured", freeze, actor="bench", now=now)
        id_ = made.id or 0
        launch.approve(store, settings, id_, made.hash, freeze, approver="bench", now=now)
        engine.start_launch(store, settings, id_, actor="bench", now=now)
        planned = time.perf_counter()
        for other in others:
            assert other.stdin is not None
            other.stdin.write(b"go\n")
            other.stdin.close()
        run_on_uvloop(Drain(store, settings, id_).run())
        for other in others:
            other.wait()
        done = time.perf_counter()
        with store.read() as session:
            found = tally_launch(session, id_)
        assert found.total("sent") == size, found.as_json()
        print(planned - began, done - planned, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _other(database: str, home: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.path", database, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def drain(database: str, home: str) -> None:
    """Another worker, ready before the time is taken."""
    settings = Settings(home=Path(home), database_url=database, secret_key="x")
    store = Store(settings.database).open()
    print("ready", flush=True)
    sys.stdin.readline()
    run_on_uvloop(Drain(store, settings).run())


if __name__ == "__main__":
    if sys.argv[2].isdigit():
        if len(sys.argv) > 4:
            environment.filled(Store(sys.argv[1]).open(), int(sys.argv[4]))
        else:
            main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    else:
        drain(sys.argv[1], sys.argv[2])
