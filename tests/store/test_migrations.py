"""A store of an earlier version goes on where it stood."""

import json
from datetime import timedelta
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlmodel import SQLModel

from passaparola import engine
from passaparola.settings import Settings
from passaparola.store.database import MIGRATIONS, Store
from tests.conftest import NOW


def migrated(store: Store, direction: Any, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with store.migrating() as connection:
        config.attributes["connection"] = connection
        direction(config, to)


def no_partition(name: str | None, kind: str, parents: Any) -> bool:
    """What PostgreSQL's partitions of `event` have is not ours to name."""
    table = parents.get("table_name") or (name if kind == "table" else "")
    return table == "event_name" or not str(table).startswith("event_")


def of_this_database(thing: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
    """Alembic does not ask for which database an index is meant."""
    return kind != "index" or reflected or name != "contact_alive"


def test_the_tables_are_those_of_the_models(store: Store) -> None:
    with store.engine.connect() as connection:
        options = {"render_as_batch": True, "compare_type": False, "include_name": no_partition}
        options |= {"include_object": of_this_database} if store.on_sqlite else {}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []


def test_a_broadcast_from_before_journeys_stays_said_and_an_approved_one_is_asked_again(
    store: Store, settings: Settings
) -> None:
    migrated(store, command.downgrade, "0001")
    content = {"campaign": "hello", "audience": "readers", "public": [], "topic": "newsletter", "locale": "en",
               "steps": [{"say": "hello", "by": ["email"]}]}  # fmt: skip
    at = NOW.strftime("%Y-%m-%d %H:%M:%S.%f")
    with store.write() as session:
        for state in ("running", "approved"):
            session.execute(
                text("INSERT INTO launch (campaign, hash, wording, content, state, note, due_at, created_at, started_at) "
                     "VALUES ('hello', 'h', 'w', :content, :state, '', :at, :at, :at)"),
                {"content": json.dumps(content), "state": state, "at": at},
            )  # fmt: skip
        session.execute(text("INSERT INTO enrolment (launch_id, key, step, due_at) VALUES (1, '', 0, :at)"), {"at": at})
    migrated(store, command.upgrade, "head")
    engine.decide(store, settings, NOW + timedelta(days=1), actor="t")
    with store.read() as session:
        states = session.execute(text("SELECT state, note FROM launch ORDER BY id")).all()
        assert [tuple(row) for row in states] == [
            ("running", ""),
            ("recalled", "made by an older version; send it again"),
        ]
        assert session.execute(text("SELECT outcome FROM enrolment")).scalar_one() == "finished"
