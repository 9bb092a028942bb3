"""A file of people brought in, with validation and consent, beside a bare COPY or executemany of the same rows.

python -m bench.imports sqlite|postgresql      prints the ratios of three rounds, and contacts a second
"""

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from bench import campaign, environment
from passaparola.contacts.addresses import address_key
from passaparola.contacts.imports.columns import ColumnMapping
from passaparola.contacts.imports.importing import Import
from passaparola.settings import Settings
from passaparola.store.bulk import insert_many
from passaparola.store.database import Store
from passaparola.store.models import Address, Consent, Contact

SIZE = 40_000
MAPPING = ColumnMapping(columns={"email": "email", "name": "first_name", "country": "country", "city": "city"})


def main(kind: str) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        campaign.house(home)
        file = home / "people.csv"
        file.write_text(
            "email,name,country,city\n" + "".join(f"reader{n}@example.org,Reader {n},IT,Milano\n" for n in range(SIZE))
        )
        ratios, rate = [], 0.0
        for _ in range(3):
            with environment.database(kind) as address:
                bare = _bare(address)
            with environment.database(kind) as address:
                own = Settings(home=home, database_url=address, secret_key="x")
                store = Store(address).open()
                began = time.perf_counter()
                tally = Import(store, own, file, MAPPING, ("newsletter",), "the till").run(datetime.now(UTC))
                rate = SIZE / (time.perf_counter() - began)
                assert tally.new == SIZE
                store.close()
            ratios.append(rate / bare)
        return [*ratios, rate]


def _bare(address: str) -> float:
    """The three tables' rows, made beforehand, handed to the database as it takes them fastest; its own checks included."""
    store = Store(address).open()
    now = datetime.now(UTC)
    blank = dict.fromkeys(("last_name", "language", "time_zone", "birthday"))
    people = [
        {"id": n + 1, "first_name": f"Reader {n}", "country": "IT", "city": "Milano", **blank, "traits": {}, "sources": {},
         "created_at": now, "updated_at": now}
        for n in range(SIZE)
    ]  # fmt: skip
    emails = [
        {"medium": "email", "value": f"reader{n}@example.org", "contact_id": n + 1, "rank": 0, "key": address_key("x", "email", f"reader{n}@example.org")}
        for n in range(SIZE)
    ]  # fmt: skip
    said = [
        {"contact_id": n + 1, "medium": "email", "topic": "newsletter", "granted": True, "basis": "consent", "source": "the till",
         "proof": {"file": "people.csv", "line": n}, "at": now}
        for n in range(SIZE)
    ]  # fmt: skip
    began = time.perf_counter()
    with store.write() as session:
        for model, rows in ((Contact, people), (Address, emails), (Consent, said)):
            insert_many(session, model, rows)
    rate = SIZE / (time.perf_counter() - began)
    with store.read() as session:
        assert session.execute(text("SELECT count(*) FROM consent")).scalar_one() == SIZE
    store.close()
    return rate


if __name__ == "__main__":
    print(*main(sys.argv[1]))
