"""How long a complaint waits behind a long queue of feedback, and how fast the queue itself is applied.

python -m bench.urgent [EVENTS]
"""

import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
from sqlalchemy import insert, select
from sqlmodel import col

from contacts.identity import address_key
from contacts.intake import apply
from contacts.models import Address, Contact, Intake, Suppression
from contacts.store import Store
from settings import Settings

PEOPLE, BATCH = 20_000, 500


def main(events: int = 1_000_000, database: str = "") -> tuple[float, float, int]:
    """(seconds until a complaint that came last was applied, events per second of the queue, events applied by then)."""
    with tempfile.TemporaryDirectory() as folder:
        own = Settings(var=Path(folder), database_url=database, secret_key="bench")
        store = Store(own.database).open()
        now = datetime.now(UTC)
        _filled(store, events, now)
        body = _events(7, 1, "spamreport", now)
        with store.write() as session:
            session.add(Intake(source="sendgrid", key="last", received_at=now, body=body, urgent=True))
        began, heard = time.monotonic(), 0.0
        thread = threading.Thread(target=apply.apply, args=(store, own, now))
        thread.start()
        while thread.is_alive():
            if not heard:
                with store.read() as session:
                    if session.execute(select(col(Suppression.key)).limit(1)).scalar() is not None:
                        heard = time.monotonic() - began
            time.sleep(0.02)
        took = time.monotonic() - began
        store.close()
    return heard, events / took, events


def _filled(store: Store, events: int, now: datetime) -> None:
    people = [{"first_name": f"R{n}", "created_at": now, "updated_at": now, "traits": {}} for n in range(PEOPLE)]
    with store.write() as session:
        session.execute(insert(Contact), people)
        session.execute(
            insert(Address),
            [
                {"medium": "email", "value": f"r{n}@example.org", "contact_id": n + 1, "rank": 0, "key": address_key("bench", "email", f"r{n}@example.org")}
                for n in range(PEOPLE)
            ],
        )  # fmt: skip
        for start in range(0, events // BATCH, 200):
            rows = [
                {"source": "sendgrid", "key": f"{n}", "received_at": now, "headers": {}, "body": _events(n * BATCH, BATCH, "delivered", now), "urgent": False, "state": "new", "problem": ""}
                for n in range(start, min(start + 200, events // BATCH))
            ]  # fmt: skip
            session.execute(insert(Intake), rows)


def _events(first: int, count: int, kind: str, now: datetime) -> bytes:
    return orjson.dumps(
        [
            {"email": f"r{n % PEOPLE}@example.org", "timestamp": int(now.timestamp()), "event": kind, "sg_event_id": f"{kind}{n}", "sg_message_id": f"m{n}", "response": "250 OK"}
            for n in range(first, first + count)
        ]
    )  # fmt: skip


if __name__ == "__main__":
    heard, rate, events = main(*map(int, sys.argv[1:2]))
    print(f"a complaint behind {events:,} events: {heard:.2f} s; the queue: {rate:,.0f} events/s")
