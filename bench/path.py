"""One send from the question to the last record, measured inside: prints seconds and peak KB.

python -m bench.path DATABASE SIZE
"""

import asyncio
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

import street
from bench import campaign
from contacts.identity import address_key
from contacts.models import Address, Consent, Contact
from contacts.store import Store
from journeys import launch
from outbox.deliver import Drain
from outbox.render.frozen import freezer
from settings import Settings


def main(database: str, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        campaign.house(home)
        settings = Settings(home=home, database_url=database, secret_key="x")
        store = Store(settings.database).open()
        now = datetime.now(UTC)
        _fill(store, size, now)
        path = home / "campaigns" / "measured.yaml"
        path.write_text(path.read_text().replace("Measured", f"Measured {now.timestamp()}"))
        freeze = freezer(settings)
        began = time.perf_counter()
        made = launch.prepare(store, settings, "measured", freeze, actor="bench", now=now)
        launch.approve(store, settings, made.id or 0, made.hash, freeze, approver="bench", now=now)
        street.set_going(store, settings, made.id or 0, actor="bench", now=now)
        outcomes = asyncio.run(Drain(store, settings, made.id).run())
        seconds = time.perf_counter() - began
        assert outcomes["accepted"] == size, outcomes
        print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _fill(store: Store, size: int, now: datetime) -> None:
    """Contacts with an address and a yes; once per database."""
    with store.read() as session:
        if session.get(Contact, 1):
            return
    for ids in _chunks(size, 5_000):
        with store.write() as session:
            people = [
                {
                    "id": n,
                    "first_name": f"Reader {n}",
                    "country": "IT" if n % 3 else "DE",
                    "traits": campaign.traits(n),
                    "created_at": now,
                    "updated_at": now,
                }
                for n in ids
            ]
            session.execute(insert(Contact), people)
            emails = [f"reader{n}@example.org" for n in ids]
            session.execute(
                insert(Address),
                [
                    {"medium": "email", "value": e, "contact_id": n, "rank": 0, "key": address_key("x", "email", e)}
                    for n, e in zip(ids, emails, strict=True)
                ],
            )
            session.execute(
                insert(Consent),
                [
                    {
                        "contact_id": n,
                        "medium": "email",
                        "topic": "newsletter",
                        "granted": True,
                        "basis": "consent",
                        "source": "bench",
                        "proof": {},
                        "at": now,
                    }
                    for n in ids
                ],
            )


def _chunks(size: int, step: int) -> list[range]:
    return [range(start, min(start + step, size + 1)) for start in range(1, size + 1, step)]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
