"""Where everything that happened is written down: each happening once, however often and by whomever it is told."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import ColumnElement, delete, select, text, tuple_
from sqlmodel import Session, col

from passaparola.store.bulk import allocate_ids, insert_many, on_postgresql
from passaparola.store.database import insert_or_ignore
from passaparola.store.models import Event, EventName, KnownProperty

QUIETLY: dict[str, Any] = {"synchronize_session": False}
MAX_KNOWN_PROPERTIES = 300  # of one kind; a sender who makes up names is no reason to keep them all
_known_properties: set[tuple[str, str, str, str]] = set()
BLANK: dict[str, Any] = {
    "amount": None, "currency": None, "properties": {}, "enrolment_id": None, "step": None, "medium": None, "machine": False,
}  # fmt: skip
INSERT_NAMES = {
    True: "INSERT INTO event_name (source, source_id) SELECT * FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) "
    "ON CONFLICT DO NOTHING RETURNING source, source_id",
    # `WHERE true`: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    False: "INSERT INTO event_name (source, source_id) SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:pairs) WHERE true "
    "ON CONFLICT DO NOTHING RETURNING source, source_id",
}


def record_events(session: Session, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of some happenings those that nobody told yet, each with its `id`; their activity is the caller's to bring up to date."""
    by_name: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        by_name.setdefault((row["source"], row["source_id"]), row)
    if not by_name:
        return []
    postgresql = on_postgresql(session)
    names = sorted(by_name)  # in one order, so that two who tell the same wait for each other instead of for ever
    told: dict[str, Any] = (
        {"sources": [source for source, _ in names], "ids": [id_ for _, id_ in names]}
        if postgresql
        else {"pairs": orjson.dumps(names).decode()}
    )
    first = {(source, id_) for source, id_ in session.execute(text(INSERT_NAMES[postgresql]), told)}
    fresh = [row for name, row in by_name.items() if name in first]
    ids = allocate_ids(session, Event, len(fresh))
    new = [{"id": id_, **BLANK, **row} for id_, row in zip(ids, fresh, strict=True)]
    insert_many(session, Event, new)
    _record_properties(session, new)
    return new


def property_type(value: Any) -> str:
    """As a question may ask of it."""
    kinds = {str: "text", bool: "boolean", int: "number", float: "number"}
    return kinds.get(type(value), "list")


def _record_properties(session: Session, rows: Iterable[Mapping[str, Any]]) -> None:
    """What questions may ask of these kinds: a misspelt property would be nobody's, in silence."""
    store = str(session.get_bind().engine.url)
    told = {
        (row["kind"], name[:60], property_type(value))
        for row in rows
        for name, value in row["properties"].items()
        if value is not None and name.isidentifier()
    }
    if not (fresh := {one for one in told if (store, *one) not in _known_properties}):
        return
    kept = select(col(KnownProperty.kind), col(KnownProperty.name), col(KnownProperty.type)).where(
        col(KnownProperty.kind).in_({k for k, _, _ in fresh})
    )
    there = {tuple(row) for row in session.execute(kept)}
    _known_properties.update((store, *one) for one in fresh & there)  # of what is committed alone
    for kind, name, type_ in sorted(fresh - there):
        if sum(one[0] == kind for one in there) < MAX_KNOWN_PROPERTIES:
            session.execute(insert_or_ignore(session, KnownProperty).values(kind=kind, name=name, type=type_))
            there.add((kind, name, type_))


def delete_events(session: Session, which: ColumnElement[bool]) -> None:
    """Events of which nothing is to be left, nor of their names."""
    named = select(col(Event.source), col(Event.source_id)).where(which)
    gone = tuple_(col(EventName.source), col(EventName.source_id)).in_(named)
    session.execute(delete(EventName).where(gone), execution_options=QUIETLY)
    session.execute(delete(Event).where(which), execution_options=QUIETLY)
