"""Where everything that happened is written down: each happening once, however often and by whomever it is told."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import ColumnElement, delete, select, text, tuple_
from sqlmodel import Session, col

from contacts.bulk import insert_many, numbers, on_postgresql
from contacts.models import Event, EventName

QUIETLY: dict[str, Any] = {"synchronize_session": False}
BLANK: dict[str, Any] = {
    "amount": None, "currency": None, "properties": {}, "enrolment_id": None, "step": None, "medium": None, "machine": False,
}  # fmt: skip
FIRST_TOLD = {
    True: "INSERT INTO event_name (source, source_id) SELECT * FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) "
    "ON CONFLICT DO NOTHING RETURNING source, source_id",
    # `WHERE true`: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    False: "INSERT INTO event_name (source, source_id) SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:pairs) WHERE true "
    "ON CONFLICT DO NOTHING RETURNING source, source_id",
}


def keep(session: Session, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
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
    first = {(source, id_) for source, id_ in session.execute(text(FIRST_TOLD[postgresql]), told)}
    fresh = [row for name, row in by_name.items() if name in first]
    ids = numbers(session, Event, len(fresh))
    new = [{"id": id_, **BLANK, **row} for id_, row in zip(ids, fresh, strict=True)]
    insert_many(session, Event, new)
    return new


def forget(session: Session, which: ColumnElement[bool]) -> None:
    """Events of which nothing is to be left, nor of their names."""
    named = select(col(Event.source), col(Event.source_id)).where(which)
    gone = tuple_(col(EventName.source), col(EventName.source_id)).in_(named)
    session.execute(delete(EventName).where(gone), execution_options=QUIETLY)
    session.execute(delete(Event).where(which), execution_options=QUIETLY)
