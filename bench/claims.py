"""Batches claimed, their people fetched and the outcome recorded, beside the same with one row claimed per message.

python -m bench.claims sqlite|postgresql      prints the ratios of three rounds
"""

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from bench import campaign, environment
from passaparola import engine
from passaparola.channel.sender import SendResult
from passaparola.journeys import launch
from passaparola.outbox import claim
from passaparola.outbox.record import record_outcome
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store

SIZE, ROWS = 20_000, 1_500


def main(kind: str) -> list[float]:
    environment.by_sendgrid(9)
    with environment.database(kind) as database, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        campaign.house(home)
        own = Settings(home=home, database_url=database, secret_key="x")
        store = Store(own.database).open()
        environment.filled(store, SIZE)
        _rows(store)
        ratios = []
        for _ in range(3):
            one = _row_by_row(store)
            ratios.append(_by_batch(store, own, home) / one)
        store.close()
        return ratios


def _by_batch(store: Store, own: Settings, home: Path) -> float:
    """Recipients a second: every guard asked, nothing rendered."""
    path = home / "campaigns" / "measured.yaml"
    path.write_text(path.read_text().replace("title: ", f"title: {time.time()} "))
    now, freeze = datetime.now(UTC), freezer(own)
    made = launch.prepare(store, own, "measured", freeze, actor="bench", now=now)
    launch.approve(store, own, made.id or 0, made.hash, freeze, approver="bench", now=now)
    engine.start_launch(store, own, made.id or 0, actor="bench", now=now)
    rendered: Any = claim._Reservation._render
    from passaparola.channel.sender import OutboundMessage

    claim._Reservation._render = lambda self, rows: [
        OutboundMessage(f"{row[0]}-0-email", row[2], "", (), {}) for row in rows
    ]  # type: ignore[method-assign]
    try:
        began = time.perf_counter()
        while held := claim.reserve_batch(store, own, worker="bench", now=now):
            record_outcome(store, held, SendResult(), now)
        return SIZE / (time.perf_counter() - began)
    finally:
        claim._Reservation._render = rendered  # type: ignore[method-assign]


def _rows(store: Store) -> None:
    with store.write() as session:
        session.execute(text("CREATE TABLE one_by_one (id BIGINT PRIMARY KEY, contact_id BIGINT, state TEXT)"))
        session.execute(text("CREATE INDEX one_by_one_queued ON one_by_one (id) WHERE state = 'queued'"))
        session.execute(text("INSERT INTO one_by_one SELECT id, id, 'queued' FROM contact"))


def _row_by_row(store: Store) -> float:
    """The same tables' people; claimed, fetched and recorded one by one, as most queues do."""
    lock = "" if store.on_sqlite else "FOR UPDATE SKIP LOCKED"
    chosen = text(
        f"UPDATE one_by_one SET state = 'sending' WHERE id = (SELECT id FROM one_by_one WHERE state = 'queued' ORDER BY id LIMIT 1 {lock}) RETURNING contact_id"
    )
    fetched = text(
        "SELECT c.first_name, c.traits, a.value FROM contact c JOIN address a ON a.contact_id = c.id WHERE c.id = :id"
    )
    done = text("UPDATE one_by_one SET state = 'sent' WHERE contact_id = :id")
    began = time.perf_counter()
    for _ in range(ROWS):
        with store.write() as session:
            id_ = session.execute(chosen).scalar_one()
            session.execute(fetched, {"id": id_}).one()
        with store.write() as session:
            session.execute(done, {"id": id_})
    return ROWS / (time.perf_counter() - began)


if __name__ == "__main__":
    print(*main(sys.argv[1]))
