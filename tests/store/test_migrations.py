"""A store of an earlier version goes on where it stood."""

from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlmodel import SQLModel

from passaparola.errors import Misconfigured, NotMigrated
from passaparola.store.database import MIGRATIONS, Store


def migrated(store: Store, direction: Any, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with store.migration_transaction() as connection:
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


def test_every_table_can_be_taken_away_and_made_again(store: Store) -> None:
    migrated(store, command.downgrade, "base")
    with store.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    migrated(store, command.upgrade, "head")
    test_the_tables_are_those_of_the_models(store)


def test_a_store_from_before_the_first_release_is_named(store: Store) -> None:
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0007'"))
    with pytest.raises(NotMigrated, match="db upgrade"):
        Store(store.url).open()
    with pytest.raises(Misconfigured, match=r"0007.*start a new one"):
        store.upgrade()
