"""Copy a store, whole or for some contacts, so that a rehearsal changes nothing."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, insert, or_, select, true
from sqlmodel import SQLModel, col

from passaparola.contacts import audience
from passaparola.contacts.audience import Question
from passaparola.errors import NotAllowed
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Contact

COPY_BATCH_ROWS = 5_000


SKIPPED_TABLES = {"raw_body", "audit", "attempt"}


IMPLICIT_FOREIGN_KEYS = {
    "contact_id": "contact",
    "enrolment_id": "enrolment",
}  # pointed to without a foreign key, where that costs too much


def copy_store(store: Store, settings: Settings, copy: Store, contacts: str, now: datetime) -> None:
    """Copy the store's rows as they are; where only some people take part, theirs."""
    with store.read() as source:
        chosen: ColumnElement[bool] | None = None
        if contacts:
            words = audience.load_catalogue(source, settings)
            chosen = Question.parse(contacts, words).members(now)
            if audience.count_members(source, Question.parse(contacts, words), now) == 0:
                raise NotAllowed(f"Nobody is in “{contacts}”; there is nothing to rehearse.")
        for table in SQLModel.metadata.sorted_tables:
            if table.name in SKIPPED_TABLES:
                continue
            rows = source.execute(_of(table, chosen), execution_options={"yield_per": COPY_BATCH_ROWS})
            for part in rows.mappings().partitions(COPY_BATCH_ROWS):
                with copy.write() as target:
                    target.execute(insert(table), [dict(row) for row in part])


def _of(table: Table, chosen: ColumnElement[bool] | None) -> Any:
    return (
        select(table)
        if chosen is None
        else select(table).where(_rows_of_contacts(table, select(col(Contact.id)).where(chosen)))
    )


def _rows_of_contacts(table: Table, people: Any) -> ColumnElement[bool]:
    """Select the rows that are of these people alone, or of nobody: whatever a table points to is in the copy, too."""
    if table.name == "contact":
        return and_(table.c.id.in_(people), or_(table.c.merged_into.is_(None), table.c.merged_into.in_(people)))
    kept: list[ColumnElement[bool]] = []
    for column in table.c:
        if column.name in IMPLICIT_FOREIGN_KEYS:
            pointed: Any = (
                people
                if IMPLICIT_FOREIGN_KEYS[column.name] == "contact"
                else _ids(IMPLICIT_FOREIGN_KEYS[column.name], people)
            )
            kept.append(or_(column.is_(None), column.in_(pointed)))
        for key in column.foreign_keys:
            kept.append(or_(column.is_(None), column.in_(_ids(key.column.table.name, people))))
    return and_(true(), *kept)


def _ids(name: str, people: object) -> Any:
    table = SQLModel.metadata.tables[name]
    return select(table.c.id).where(_rows_of_contacts(table, people))
