"""From the shop's webhook to the provider's acceptance, by the web app and the consumer as shipped: p50 and p95 seconds.

python -m bench.latency [ORDERS] [SECONDS BETWEEN TWO]
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select
from sqlmodel import col

from bench import environment
from passaparola.journeys import launch
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings, get_settings
from passaparola.store.database import Store
from passaparola.store.models import Attempt, Batch, Enrolment, Message

SECRET = "a secret of the bench"


def main(orders: int = 60, pause: float = 0.5, database: str = "") -> tuple[float, float]:
    """Orders come one by one, at uneven times; each is followed to the answer of the provider."""
    with tempfile.TemporaryDirectory() as folder:
        own = _house(Path(folder), database)
        store = Store(own.database).open()
        freeze = freezer(own)
        now = datetime.now(UTC)
        made = launch.prepare(store, own, "post_purchase", freeze, actor="bench", now=now)
        launch.approve(store, own, made.id or 0, made.hash, freeze, approver="bench", now=now)
        launch.release(store, made.id or 0, actor="bench", now=now)
        began: dict[str, datetime] = {}
        with environment.sink("http") as provider, _running(provider) as port:
            dice = random.Random(7)
            for number in range(orders):
                id_ = 10_000 + number
                began[str(id_)] = datetime.now(UTC)
                url = f"http://127.0.0.1:{port}/webhooks/shopify"
                orders.send_order(url, SECRET, datetime.now(UTC), number=id_, email=f"buyer{number}@example.com")
                time.sleep(dice.uniform(0, 2 * pause))
            seconds = _answered(store, made.id or 0, began)
        store.close()
    cut = statistics.quantiles(seconds, n=20)
    return statistics.median(seconds), cut[18]


def _house(var: Path, database: str) -> Settings:
    os.environ |= {
        "PASSAPAROLA_VAR": str(var),
        "PASSAPAROLA_DATABASE_URL": database or f"sqlite:///{var / 'store.db'}",
        "PASSAPAROLA_SECRET_KEY": "x",
        "PASSAPAROLA_SHOPIFY_SECRET": SECRET,
        "PASSAPAROLA_SOFT_OPT_IN": "after_sales",
        "PASSAPAROLA_EMAIL_CHANNEL": "sendgrid",
        "PASSAPAROLA_SENDGRID_API_KEY": "SG.bench",
    }
    get_settings.cache_clear()
    return get_settings()


@contextmanager
def _running(provider: int) -> Iterator[int]:
    os.environ["PASSAPAROLA_SENDGRID_API_URL"] = f"http://127.0.0.1:{provider}"
    port = environment.free_port()
    web = [sys.executable, "-m", "uvicorn", "passaparola.web.app:app", "--port", str(port), "--log-level", "critical"]
    processes = [
        subprocess.Popen(command, cwd=environment.CODE)
        for command in (web, [sys.executable, "-m", "passaparola.cli.consumer"])
    ]
    try:
        environment.answers(f"http://127.0.0.1:{port}/healthz")
        time.sleep(8)  # the consumer imports for some seconds
        yield port
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def _answered(store: Store, launch_id: int, began: dict[str, datetime]) -> list[float]:
    found: dict[str, float] = {}
    until = time.monotonic() + 60
    while len(found) < len(began) and time.monotonic() < until:
        time.sleep(1)
        with store.read() as session:
            answered = (
                select(col(Enrolment.key), col(Attempt.finished_at))
                .join(Message, col(Message.enrolment_id) == col(Enrolment.id))
                .join(Batch, col(Batch.id) == col(Message.batch_id))
                .join(Attempt, col(Attempt.batch_id) == col(Batch.id))
                .where(col(Enrolment.launch_id) == launch_id, col(Attempt.outcome) == "accepted")
            )
            found = {key: (at - began[key]).total_seconds() for key, at in session.execute(answered) if key in began}
    assert len(found) == len(began), f"{len(began) - len(found)} orders were not followed up"
    return list(found.values())


if __name__ == "__main__":
    given = sys.argv[1:]
    median, late = main(int(given[0]) if given else 60, float(given[1]) if len(given) > 1 else 0.5)
    print(f"order webhook → accepted: p50 {median:.2f} s, p95 {late:.2f} s")
