"""Activity: one row per contact and kind of event, always derived from the events themselves."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, func, insert, select
from sqlmodel import Session, col

from passaparola.contacts.events import NewEvent
from passaparola.store.bulk import execute_update, in_values, insert_many, on_postgresql
from passaparola.store.models import Activity, Contact, Event

LATEST_KEPT = 5
LATEST = [f"latest_{n}" for n in range(1, LATEST_KEPT + 1)]
COLUMNS = ["contact_id", "kind", "count", "first_at", "total", *LATEST]


def add_events(session: Session, currency: str, new: Iterable[NewEvent], anew: Collection[int] = ()) -> None:
    """Update activity rows by events that were just recorded. Contacts in `anew`, of whose earlier events something
    changed, are counted from their events instead."""
    by_row: dict[tuple[int, str], list[NewEvent]] = {}
    for event in new:
        if not event.machine and event.contact_id not in anew:
            by_row.setdefault((event.contact_id, event.kind), []).append(event)
    if anew:
        refresh(session, currency, anew)
    if not by_row:
        return
    contacts = sorted({contact for contact, _ in by_row})
    lock_contacts(session, contacts)
    columns = [col(getattr(Activity, name)) for name in COLUMNS]
    stood = select(*columns).where(in_values(session, col(Activity.contact_id), contacts))
    existing = {(row[0], row[1]): row for row in session.execute(stood)}
    rows = [_with_event(row, existing.get(row), new_events, currency) for row, new_events in by_row.items()]
    for kind in {kind for _, kind in by_row}:
        changed_contacts = [contact for contact, of in by_row if of == kind]
        changed = delete(Activity).where(
            col(Activity.kind) == kind, in_values(session, col(Activity.contact_id), changed_contacts)
        )
        execute_update(session, changed)
    insert_many(session, Activity, rows)


def _with_event(row: tuple[int, str], existing: Any, new_events: list[NewEvent], currency: str) -> Mapping[str, Any]:
    count, first, total, *latest = existing[2:] if existing else (0, new_events[0].at, 0)
    times: list[datetime] = [at for at in latest if at] + [event.at for event in new_events]
    times.sort(reverse=True)
    spent = sum(event.amount or 0 for event in new_events if event.currency == currency)
    newest = [*times[:LATEST_KEPT], *[None] * (LATEST_KEPT - len(times))]
    return dict(
        zip(
            COLUMNS,
            (*row, count + len(new_events), min(first, times[-1]), total + spent, *newest),
            strict=True,
        )
    )


def lock_contacts(session: Session, contacts: Collection[int]) -> None:
    """Lock contacts: two writers of one contact's events take turns."""
    if not on_postgresql(session):
        return  # SQLite has one writer at a time
    mine = select(col(Contact.id)).where(in_values(session, col(Contact.id), contacts))
    session.execute(mine.order_by(col(Contact.id)).with_for_update())


def recounting(currency: str) -> Callable[[Session, list[int]], None]:
    """Return the function that counts activity anew, for code that takes events out of the store."""
    return lambda session, contacts: refresh(session, currency, contacts)


def refresh(session: Session, currency: str, contacts: Collection[int] | None = None) -> None:
    """Count activity anew from the events of these contacts, or of everyone. `currency` is the one that is summed."""
    if contacts is not None:
        lock_contacts(session, contacts)
    mine = [~col(Event.machine), *([] if contacts is None else [in_values(session, col(Event.contact_id), contacts)])]
    old = [] if contacts is None else [in_values(session, col(Activity.contact_id), contacts)]
    execute_update(session, delete(Activity).where(*old))
    place = func.row_number().over(
        partition_by=(col(Event.contact_id), col(Event.kind)), order_by=(col(Event.at).desc(), col(Event.id).desc())
    )
    ranked = select(
        col(Event.contact_id),
        col(Event.kind),
        col(Event.at),
        col(Event.amount),
        col(Event.currency),
        place.label("place"),
    ).where(*mine)
    event = ranked.subquery()
    latest = [func.max(case((event.c.place == n, event.c.at))).label(name) for n, name in enumerate(LATEST, 1)]
    summed = func.coalesce(func.sum(case((event.c.currency == currency, event.c.amount), else_=0)), 0)
    rows = select(
        event.c.contact_id, event.c.kind, func.count().label("count"), func.min(event.c.at), summed, *latest
    ).group_by(event.c.contact_id, event.c.kind)
    session.execute(insert(Activity).from_select(COLUMNS, rows))
