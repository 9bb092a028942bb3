"""Recording of events: each once, however often it is reported."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import ColumnElement, delete, select, text, tuple_
from sqlmodel import Session, col

from passaparola.store.bulk import allocate_ids, execute_update, insert_many, on_postgresql
from passaparola.store.database import insert_or_ignore
from passaparola.store.models import Event, EventName, KnownProperty

MAX_KNOWN_PROPERTIES = 300  # of one kind; a sender who makes up names is no reason to keep them all
_known_properties: set[tuple[str, str, str, str]] = set()
INSERT_NAMES = {
    True: "INSERT INTO event_name (source, source_id) SELECT * FROM unnest(CAST(:sources AS text[]), CAST(:ids AS "
    "text[])) "
    "ON CONFLICT DO NOTHING RETURNING source, source_id",
    # `WHERE true`: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    False: "INSERT INTO event_name (source, source_id) SELECT json_extract(value, '$[0]'), json_extract(value, "
    "'$[1]') FROM json_each(:pairs) WHERE true "
    "ON CONFLICT DO NOTHING RETURNING source, source_id",
}


@dataclass(slots=True)
class NewEvent:
    """An event to be recorded. `source` and `source_id` are its identity; `amount` is in minor units of `currency`."""

    contact_id: int
    kind: str
    at: datetime
    received_at: datetime
    source: str
    source_id: str
    amount: int | None = None
    currency: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    enrolment_id: int | None = None
    step: int | None = None
    medium: str | None = None
    machine: bool = False
    id: int = 0  # given when it is recorded


COLUMNS = tuple(column.name for column in fields(NewEvent))
_values = attrgetter(*COLUMNS)


def record_events(session: Session, events: Iterable[NewEvent]) -> list[NewEvent]:
    """Record events once, by source and source id. Return the new ones, each with its id.

    Their activity is the caller's to bring up to date (`activity.add_events`).
    """
    by_name: dict[tuple[str, str], NewEvent] = {}
    for event in events:
        by_name.setdefault((event.source, event.source_id), event)
    if not by_name:
        return []
    postgresql = on_postgresql(session)
    names = sorted(by_name)  # in one order, so that two who record the same wait for each other instead of for ever
    parameters: dict[str, Any] = (
        {"sources": [source for source, _ in names], "ids": [id_ for _, id_ in names]}
        if postgresql
        else {"pairs": orjson.dumps(names).decode()}
    )
    first = {(source, id_) for source, id_ in session.execute(text(INSERT_NAMES[postgresql]), parameters)}
    new = [event for name, event in by_name.items() if name in first]
    for event, id_ in zip(new, allocate_ids(session, Event, len(new)), strict=True):
        event.id = id_
    insert_many(session, Event, [dict(zip(COLUMNS, _values(event), strict=True)) for event in new])
    _record_properties(session, new)
    return new


def property_type(value: object) -> str:
    """Return a value's type in the audience language."""
    kinds = {str: "text", bool: "boolean", int: "number", float: "number"}
    return kinds.get(type(value), "list")


def _record_properties(session: Session, events: Iterable[NewEvent]) -> None:
    """Record which properties events have, so that a question with a misspelt one is refused."""
    store = str(session.get_bind().engine.url)
    seen = {
        (event.kind, name[:60], property_type(value))
        for event in events
        for name, value in event.properties.items()
        if value is not None and name.isidentifier()
    }
    if not (fresh := {property_ for property_ in seen if (store, *property_) not in _known_properties}):
        return
    kept = select(col(KnownProperty.kind), col(KnownProperty.name), col(KnownProperty.type)).where(
        col(KnownProperty.kind).in_({k for k, _, _ in fresh})
    )
    there = {tuple(row) for row in session.execute(kept)}
    _known_properties.update((store, *property_) for property_ in fresh & there)  # of what is committed alone
    for kind, name, type_ in sorted(fresh - there):
        if sum(property_[0] == kind for property_ in there) < MAX_KNOWN_PROPERTIES:
            session.execute(insert_or_ignore(session, KnownProperty).values(kind=kind, name=name, type=type_))
            there.add((kind, name, type_))


def delete_events(session: Session, which: ColumnElement[bool]) -> None:
    """Delete events and their names, so that nothing of them is left."""
    named = select(col(Event.source), col(Event.source_id)).where(which)
    gone = tuple_(col(EventName.source), col(EventName.source_id)).in_(named)
    execute_update(session, delete(EventName).where(gone))
    execute_update(session, delete(Event).where(which))
