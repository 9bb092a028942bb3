"""The one database: SQLite to begin with, PostgreSQL to grow; one transaction per `with`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, NoSuchModuleError, OperationalError
from sqlmodel import Session, SQLModel
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random_exponential

from passaparola.errors import Misconfigured, NotMigrated
from passaparola.store.models import Audit

MIGRATIONS = Path(__file__).parent / "migrations"
LARGE_TABLES = ("contact", "address", "consent", "event", "event_name", "activity", "enrolment", "message", "batch")
BUSY_TIMEOUT_SECONDS = 30  # seconds a writer waits for another one
P = ParamSpec("P")
T = TypeVar("T")


def utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """The contact store. `with store.write() as session:` is one transaction, undone by any error."""

    def __init__(self, url: str, busy_timeout: float = BUSY_TIMEOUT_SECONDS) -> None:
        self.url, self.busy_timeout = url, busy_timeout

    @cached_property
    def engine(self) -> Engine:
        try:
            url = make_url(self.url)
        except ArgumentError:
            raise Misconfigured(
                f"PASSAPAROLA_DATABASE_URL is not a database address: {self.url.split('@')[-1]}"
            ) from None
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise Misconfigured("PASSAPAROLA_DATABASE_URL must begin with sqlite:/// or postgresql+psycopg://")
        if url.get_backend_name() == "sqlite" and url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        try:
            engine = create_engine(
                url,
                pool_pre_ping=url.get_backend_name() == "postgresql",
                hide_parameters=True,  # an error's text must hold no address
                connect_args={"connect_timeout": max(int(self.busy_timeout), 2)}
                if url.get_backend_name() == "postgresql"
                else {},
                pool_size=10,
                max_overflow=20,
                json_deserializer=orjson.loads,
                json_serializer=lambda value: orjson.dumps(value).decode(),
            )
        except (NoSuchModuleError, ModuleNotFoundError):
            raise Misconfigured("For PostgreSQL, PASSAPAROLA_DATABASE_URL begins with postgresql+psycopg://") from None
        if engine.dialect.name == "sqlite":
            _configure_sqlite(engine, self.busy_timeout)
        return engine

    @property
    def on_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Session]:
        with Session(self.engine.execution_options(writes=True), expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def open(self) -> "Store":
        """Make a new database ready; refuse one of another version.

        Raises:
            Misconfigured: it cannot be reached.
            NotMigrated: its tables are not those of this version.
        """
        try:
            with self.engine.connect() as connection:
                if not inspect(connection).has_table("alembic_version"):
                    self.upgrade()
                    return self
                at = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise Misconfigured(f"The database cannot be opened ({reason}). Check PASSAPAROLA_DATABASE_URL.") from error
        if at != latest_revision():
            self.close()
            raise NotMigrated(
                "The database was made by another version of Passaparola. Run `passaparola db upgrade` first."
            )
        return self

    def upgrade(self) -> None:
        from alembic import command  # a third of a second, which only those pay who migrate
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.migration_transaction() as connection:
            _begin_immediate(connection)
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise Misconfigured(
                    f"The database is of a version that this one does not know ({error}); it is from before the first "
                    "release, or from a later one. Use that version, or start a new one."
                ) from None

    @contextmanager
    def migration_transaction(self) -> Iterator[Connection]:
        """Open one transaction in which SQLite lets a table be made anew though others point to it.

        https://www.sqlite.org/lang_altertable.html#otheralter: the pragma counts only outside a transaction.
        """
        with self.engine.execution_options(writes=True).connect() as connection:
            raw: Any = connection.connection.driver_connection
            if self.on_sqlite:
                raw.execute("PRAGMA foreign_keys=OFF")
            try:
                with connection.begin():
                    yield connection
            finally:
                if self.on_sqlite:
                    raw.execute("PRAGMA foreign_keys=ON")

    def backup(self, path: Path) -> None:
        """Back up a consistent copy while everything goes on. Raises Misconfigured: the file exists, or PostgreSQL has
        its own tools."""
        if not self.on_sqlite:
            raise Misconfigured(
                "PostgreSQL is backed up by its own tools: pg_dump, or an archived log; see docs/operations.md"
            )
        if path.exists():
            raise Misconfigured(f"{path} is there already; a backup overwrites nothing.")
        with self.engine.connect() as connection:  # https://www.sqlite.org/lang_vacuum.html#vacuuminto
            connection.rollback()
            raw: Any = connection.connection.driver_connection
            raw.execute("VACUUM INTO ?", (str(path),))

    def truncate_wal(self) -> None:
        """Truncate SQLite's write-ahead log, which still holds a copy of what was just deleted; PostgreSQL's own
        vacuum sees to that."""
        if self.on_sqlite:
            with self.engine.connect() as connection:
                connection.rollback()
                raw: Any = connection.connection.driver_connection
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def analyse(self) -> None:
        """Update the planner's statistics: after many rows came in, and once an hour.

        Without it SQLite takes the index of kinds for a click, and reads every click that ever was; PostgreSQL
        waits a minute for autovacuum. A thousand rows of each index are enough:
        https://www.sqlite.org/lang_analyze.html#approx
        """
        with suppress(OperationalError):  # somebody writes for long: what was done stays done, and the next one counts
            self._count_rows()

    def _count_rows(self) -> None:
        with self.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            raw: Any = connection.connection.driver_connection
            if self.on_sqlite:
                if connection.in_transaction():
                    connection.rollback()
                raw.execute("PRAGMA analysis_limit=1000")
                raw.execute("ANALYZE")
            else:
                connection.exec_driver_sql(f"ANALYZE {', '.join(LARGE_TABLES)}")

    def close(self) -> None:
        self.engine.dispose()


def is_transient(error: BaseException) -> bool:
    """Return whether the database was busy or away, so that the same transaction may succeed in a while."""
    state = str(getattr(getattr(error, "orig", None), "sqlstate", "") or "")
    return isinstance(error, OperationalError | InterfaceError) or state[:2] in ("08", "40", "53", "57")


def retry_while_db_unavailable(work: Callable[P, T]) -> Callable[P, T]:
    """Retry one transaction for two minutes, while the database is busy, full or away."""
    return retry(
        retry=retry_if_exception(is_transient),
        wait=wait_random_exponential(multiplier=0.1, max=5),
        stop=stop_after_delay(120),
        reraise=True,
    )(work)


@cache
def latest_revision() -> str:
    """Return the revision of the tables that this code needs: the number with which the newest migration's file
    begins."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def insert_or_ignore(session: Session, table: type[SQLModel]) -> Any:
    """Return an INSERT that leaves alone what is there already."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()


def audit(session: Session, at: datetime, actor: str, action: str, subject: str, **detail: object) -> None:
    session.add(Audit(at=at, actor=actor, action=action, subject=subject, detail=detail))


def _begin_immediate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(20260417)"))


def _configure_sqlite(engine: Engine, busy_timeout: float) -> None:
    """Configure SQLite: WAL, durable commits, foreign keys, and BEGIN IMMEDIATE for writers, so that two of them queue
    and never deadlock.

    https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    """

    @event.listens_for(engine, "connect")
    def on_connect(dbapi: Any, record: Any) -> None:
        dbapi.isolation_level = None
        for pragma in (
            f"busy_timeout={busy_timeout * 1000:.0f}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",  # who is forgotten leaves nothing in the file
            "cache_size=-16384",
        ):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
