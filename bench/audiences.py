"""Questions as the shipped audiences ask them, beside the best SQL by hand over raw events, and beside DuckDB on the same rows.

python -m bench.audiences sqlite|postgresql CONTACTS EVENTS      prints the two ratios of each question
"""

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlmodel import Session

from bench import environment
from bench.figures import Figure
from passaparola.contacts.audience import Question
from passaparola.contacts.audience.words import Catalogue
from passaparola.store.database import Store

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
KINDS = ("order_completed", "clicked", "opened", "visited")
PAST, NEAR = NOW - timedelta(days=90), NOW - timedelta(days=30)
QUESTIONS: dict[str, str] = {
    'country = "IT" and ordered at least 2 times within 90 days': (
        "SELECT count(*) FROM contact c WHERE c.country = 'IT' AND c.erased_at IS NULL AND c.merged_into IS NULL AND c.id IN "
        "(SELECT contact_id FROM event WHERE kind = 'order_completed' AND \"at\" >= :past GROUP BY contact_id HAVING count(*) >= 2)"
    ),
    "clicked within 30 days and consents to newsletter": (
        "SELECT count(*) FROM contact c WHERE c.erased_at IS NULL AND c.merged_into IS NULL AND c.id IN (SELECT contact_id FROM event WHERE kind = 'clicked' AND \"at\" >= :near) "
        "AND c.id IN (SELECT contact_id FROM consent WHERE topic = 'newsletter' AND medium = 'email' AND granted)"
    ),
    "ordered at least 1 time and not clicked within 90 days": (
        "SELECT count(*) FROM contact c WHERE c.erased_at IS NULL AND c.merged_into IS NULL AND c.id IN (SELECT contact_id FROM event WHERE kind = 'order_completed') "
        "AND c.id NOT IN (SELECT contact_id FROM event WHERE kind = 'clicked' AND \"at\" >= :past)"
    ),
    "opened at least 5 times within 30 days": (
        "SELECT count(*) FROM contact c WHERE c.erased_at IS NULL AND c.merged_into IS NULL AND c.id IN "
        "(SELECT contact_id FROM event WHERE kind = 'opened' AND \"at\" >= :near GROUP BY contact_id HAVING count(*) >= 5)"
    ),
    "last ordered within 30 days and visited at least 3 times within 90 days": (
        "SELECT count(*) FROM contact c WHERE c.erased_at IS NULL AND c.merged_into IS NULL AND c.id IN (SELECT contact_id FROM event WHERE kind = 'order_completed' AND \"at\" >= :near) "
        "AND c.id IN (SELECT contact_id FROM event WHERE kind = 'visited' AND \"at\" >= :past GROUP BY contact_id HAVING count(*) >= 3)"
    ),
}  # fmt: skip


def figures(contacts: int, events: int) -> list[Figure]:
    found = []
    for kind in environment.KINDS:
        ratios = environment.in_its_own("bench.audiences", kind, contacts, events)
        path = f"audience count, {contacts:,} contacts, {events:,} events, five questions, {kind}"
        found.append(
            Figure(
                path,
                "the best SQL by hand over raw events",
                ratios[: len(QUESTIONS)],
                at_least=20,
            )
        )
        found.append(
            Figure(
                path,
                "DuckDB over the same rows (its time ÷ ours)",
                ratios[len(QUESTIONS) :],
                at_least=1,
            )
        )
    return found


def main(kind: str, contacts: int, events: int) -> list[float]:
    with environment.database(kind) as address:
        store = Store(address).open()
        environment.filled(store, contacts)
        _events(store, contacts, events)
        environment.analyse(store)
        duck = _duck(store)
        known = Catalogue("EUR", {}, frozenset(KINDS), {})
        by_hand, by_duck = [], []
        for question, sql in QUESTIONS.items():
            asked = Question.parse(question, known)
            with store.read() as session:
                ours, counted = _timed(
                    lambda: session.execute(select(func.count()).where(asked.members(NOW))).scalar_one()
                )
                given = {"past": PAST, "near": NEAR}
                slow, seen = _timed(lambda: session.execute(_statement(sql, store), given).scalar_one())
            assert counted == seen, (question, counted, seen)
            quick, also = _timed(
                lambda: duck.execute(
                    sql.replace(":past", f"TIMESTAMP '{PAST:%Y-%m-%d %H:%M:%S}'").replace(
                        ":near", f"TIMESTAMP '{NEAR:%Y-%m-%d %H:%M:%S}'"
                    )
                ).fetchall()[0][0]
            )
            assert counted == also, (question, counted, also)
            by_hand.append(slow / ours)
            by_duck.append(quick / ours)
        store.close()
        return [*by_hand, *by_duck]


def _statement(sql: str, store: Store) -> Any:
    from sqlalchemy import bindparam

    from passaparola.store.types import UtcDateTime

    names = [name for name in ("past", "near") if f":{name}" in sql]
    return text(sql).bindparams(*(bindparam(name, type_=UtcDateTime()) for name in names))


def _timed(work: Callable[[], int], times: int = 5) -> tuple[float, int]:
    found = work()
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent), found


def _events(store: Store, contacts: int, events: int) -> None:
    """Made inside the database: four kinds over two years, some people far busier than others; then activity from them."""
    from passaparola.contacts import activity

    columns = "id, contact_id, kind, at, received_at, source, source_id, properties, machine, amount, currency"
    numbers = (
        "generate_series(CAST(1 AS BIGINT), CAST(:events AS BIGINT)) AS n"
        if not store.on_sqlite
        else "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :events) SELECT n FROM s)"
    )
    # A multiplicative hash stands in for dice, so that both databases hold the same rows.
    who = f"1 + ((n * 2654435761) % {contacts}) * ((n * 40503) % 1000) / 1000"
    kind = "CASE (n * 7919) % 10 WHEN 0 THEN 'order_completed' WHEN 1 THEN 'clicked' WHEN 2 THEN 'clicked' WHEN 3 THEN 'opened' WHEN 4 THEN 'opened' WHEN 5 THEN 'opened' ELSE 'visited' END"
    ago = "((n * 104729) % 63072000)"
    at = (
        f"strftime('%Y-%m-%d %H:%M:%S', '2026-11-01 12:00:00', '-' || {ago} || ' seconds') || '.000000'"
        if store.on_sqlite
        else f"TIMESTAMPTZ '2026-11-01 12:00:00+00' - {ago} * interval '1 second'"
    )

    def fill(session: Session) -> None:
        session.execute(
            text(f"INSERT INTO event ({columns}) SELECT n, {who}, {kind}, {at}, {at}, 'bench', CAST(n AS TEXT), '{{}}', {'0' if store.on_sqlite else 'false'}, 2900, 'EUR' FROM {numbers}"),
            {"events": events},
        )  # fmt: skip

    environment.with_its_indexes(store, "event", fill)
    with store.write() as session:
        activity.refresh(session, "EUR")


def _duck(store: Store) -> Any:
    import duckdb

    duck = duckdb.connect()
    duck.execute("SET threads = 2")
    duck.execute("CREATE TABLE contact (id BIGINT, country VARCHAR, erased_at TIMESTAMP, merged_into BIGINT)")
    duck.execute("CREATE TABLE consent (contact_id BIGINT, topic VARCHAR, medium VARCHAR, granted BOOLEAN)")
    duck.execute('CREATE TABLE event (contact_id BIGINT, kind VARCHAR, "at" TIMESTAMP)')
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder, store.read() as session:
        for table, chosen in (
            ("contact", "SELECT id, country, NULL, NULL FROM contact"),
            ("consent", "SELECT contact_id, topic, medium, granted FROM consent"),
            ("event", "SELECT contact_id, kind, at FROM event"),
        ):
            file = Path(folder) / f"{table}.csv"
            with file.open("w") as out:
                for row in session.execute(
                    text(chosen), execution_options={"stream_results": True, "yield_per": 10_000}
                ):
                    out.write(
                        ",".join("" if value is None else str(value)[:26].replace("+00:00", "") for value in row) + "\n"
                    )
            duck.execute(f"COPY {table} FROM '{file}' (HEADER false)")
    return duck


if __name__ == "__main__":
    print(*main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
