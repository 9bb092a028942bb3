"""Several workers on one outbox: each a Prefect worker with a work pool of its own, against one PostgreSQL and one Prefect server
on it, the provider at 200 ms a request. Then the same with two of the four killed on the way.

python -m bench.scale [RECIPIENTS]
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from bench import campaign, environment
from passaparola import engine
from passaparola.channels.sendgrid.sender import SendgridSender
from passaparola.journeys import launch
from passaparola.outbox.deliver import Drain, run_on_uvloop
from passaparola.outbox.ledger import tally_launch
from passaparola.outbox.reconcile import quarantine_of, reconcile
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Attempt, Batch

# One request of a worker at a time, of so few, that the provider's time decides and not two cores.
PER_REQUEST, LANES, PROVIDER = 100, 2, 0.2  # a channel has all lanes but one
WORKERS = 4
BEGINS_IN = 45  # seconds until the messages are due: by then every run waits for them


def main(size: int = 24_000) -> tuple[float, list[str]]:
    """How many times as fast four workers are as one; and what was seen."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder)
        campaign.house(home)
        log = home / "accepted.log"
        address = stack.enter_context(environment.database("postgresql"))
        provider = stack.enter_context(_provider(log))
        own = _settings(home, address, provider)
        store = Store(own.database).open()
        environment.filled(store, size)
        api = stack.enter_context(_prefect(address, home))
        workers = [stack.enter_context(_worker(n, home)) for n in range(1, WORKERS + 1)]
        _deployments(home)
        one, _ = _sent(store, own, api, 1)
        many, _ = _sent(store, own, api, WORKERS)
        said = [f"1 worker: {one:,.0f} recipients/s, {WORKERS} workers: {many:,.0f}"]
        log.write_text("")
        _, launched = _sent(store, own, api, WORKERS, killing=workers[:2])
        said.append(_judged(store, own, launched, log, size))
        store.close()
        return many / one, said


def _settings(home: Path, address: str, provider: str) -> Settings:
    os.environ |= {
        "PASSAPAROLA_HOME": str(home), "PASSAPAROLA_VAR": str(home / "var"), "PASSAPAROLA_DATABASE_URL": address,
        "PASSAPAROLA_SECRET_KEY": "x", "PASSAPAROLA_EMAIL_CHANNEL": "sendgrid", "PASSAPAROLA_SENDGRID_API_KEY": "SG.right",
        "PASSAPAROLA_SENDGRID_API_URL": provider, "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_HOME": str(home / "prefect"),
        "PASSAPAROLA_SEND_CONCURRENCY": str(LANES), **_as_deployed(),
    }  # fmt: skip
    return Settings()


def _as_deployed() -> dict[str, str]:
    """Prefect's own batches, as deploy/ sets them."""
    import yaml

    shipped = yaml.safe_load((environment.CODE / "deploy" / "compose.yaml").read_text())["x-prefect"]["environment"]
    return {name: str(value) for name, value in shipped.items() if "_BATCH_SIZE" in name or "_FLUSH_" in name}


@contextmanager
def _provider(log: Path) -> Iterator[str]:
    """The tests' strict one: it keeps a log, which is the judge of twice and lost."""
    from tests.conftest import Provider

    with Provider(log) as provider:
        provider.knobs(delay=PROVIDER)
        yield provider.url


@contextmanager
def _prefect(address: str, home: Path) -> Iterator[str]:
    from sqlalchemy import create_engine, text

    admin = create_engine(address, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE prefect"))
    admin.dispose()
    head, _, tail = address.replace("postgresql+psycopg", "postgresql+asyncpg").partition("?")
    os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = (
        head.rpartition("/")[0] + "/prefect" + (f"?{tail}" if tail else "")
    )
    port = environment.free_port()
    api = f"http://127.0.0.1:{port}/api"
    os.environ["PREFECT_API_URL"] = api
    with _process(home / "server.log", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)):
        environment.answers(f"{api}/health", 180)
        yield api


@contextmanager
def _process(log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """In a session of its own, so that a kill takes what it started with it."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=environment.CODE, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _worker(number: int, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    prefect = [
        sys.executable,
        "-m",
        "prefect",
        "--no-prompt",
        "work-pool",
        "create",
        f"pool-{number}",
        "--type",
        "process",
    ]
    subprocess.run(prefect, cwd=environment.CODE, check=True, capture_output=True)
    with _process(home / f"worker-{number}.log", "prefect", "worker", "start", "--pool", f"pool-{number}") as process:
        yield process


def _deployments(home: Path) -> None:
    import yaml

    wanted = {
        "name": "scale",
        "pull": [{"prefect.deployments.steps.set_working_directory": {"directory": str(environment.CODE)}}],
        "deployments": [
            {
                "name": f"deliver-{n}",
                "entrypoint": "passaparola.flows.deliver.deliver_outbox",
                "work_pool": {"name": f"pool-{n}"},
            }
            for n in range(1, WORKERS + 1)
        ],
    }
    file = home / "prefect.yaml"
    file.write_text(yaml.safe_dump(wanted))
    deploy = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
    done = subprocess.run(deploy, cwd=environment.CODE, capture_output=True, text=True)
    assert not done.returncode, done.stdout + done.stderr


def _sent(
    store: Store, own: Settings, api: str, workers: int, killing: "list[subprocess.Popen[bytes]] | None" = None
) -> tuple[float, int]:
    """Recipients a second from the first call to the last answer; the launch."""
    SendgridSender.batch_size = PER_REQUEST
    path = own.home / "campaigns" / "measured.yaml"
    path.write_text(path.read_text().replace("title: ", f"title: {time.time():.0f} "))
    due = datetime.now(UTC) + timedelta(seconds=BEGINS_IN)
    freeze = freezer(own)
    made = launch.prepare(store, own, "measured", freeze, actor="bench", now=utc_now())
    id_ = made.id or 0
    launch.approve(store, own, id_, made.hash, freeze, approver="bench", now=utc_now())
    engine.start_launch(store, own, id_, actor="bench", now=utc_now())
    with store.write() as session:
        for batch in session.execute(select(Batch).where(col(Batch.launch_id) == id_)).scalars():
            batch.due_at = due
    for number in range(1, workers + 1):
        found = _asked(f"{api}/deployments/name/system-deliver/deliver-{number}")
        _asked(f"{api}/deployments/{found['id']}/create_flow_run", {})
    until = time.monotonic() + BEGINS_IN + 240
    killed = False
    while time.monotonic() < until:
        time.sleep(0.5)
        with store.read() as session:
            now = tally_launch(session, id_)
        if killing and not killed and now.total("sent") > 0.3 * now.audience:
            killed = True
            for process in killing:
                _kill(process)
        if not now.total("queued") and (killed or not now.total("sending")):
            break
    with store.read() as session:
        mine = select(Attempt).join(Batch, col(Batch.id) == col(Attempt.batch_id)).where(col(Batch.launch_id) == id_)
        attempts = [one for one in session.execute(mine).scalars() if one.outcome == "accepted" and one.finished_at]
    spent = max(a.finished_at for a in attempts if a.finished_at) - min(a.started_at for a in attempts)
    names = Counter(a.channel for a in attempts)
    assert names["sendgrid"], names
    return sum(a.size for a in attempts) / spent.total_seconds(), id_


def _asked(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _judged(store: Store, own: Settings, launched: int, log: Path, size: int) -> str:
    later = utc_now() + quarantine_of("sendgrid") + timedelta(minutes=15)
    for _ in range(2):
        run_on_uvloop(reconcile(store, later))
        later += quarantine_of("sendgrid")
    run_on_uvloop(Drain(store, own, clock=lambda: later).run())
    accepted = Counter(to for line in log.read_text().splitlines() for to in json.loads(line)["to"])
    with store.read() as session:
        found = tally_launch(session, launched)
    twice = sum(times > 1 for times in accepted.values())
    lost = size - found.total("sent") - found.total("unknown")
    assert not twice, "somebody got it twice"
    assert not lost, "somebody got lost"
    assert found.total("sent") <= len(accepted) <= found.total("sent") + found.total("unknown")
    return (
        f"two of four killed after a third: {found.total('sent'):,} sent, {found.total('unknown'):,} unknown "
        f"({len(accepted):,} accepted by the provider), {twice} twice, {lost} lost"
    )


if __name__ == "__main__":
    times, seen = main(*map(int, sys.argv[1:2]))
    print(f"{WORKERS} workers beside one: {times:.2f} ×", *seen, sep="\n")
