"""What each contact did, per kind, in one row: always what the events say, because it is made from them."""

from collections.abc import Collection

from sqlalchemy import case, delete, func, insert, select
from sqlmodel import Session, col

from contacts.models import Activity, Contact, Event

KEPT = 5


def refresh(session: Session, currency: str, contacts: Collection[int] | None = None) -> None:
    """Make the rows of these contacts (or of everyone) anew from their events. `currency` is the one that is summed."""
    if contacts is not None:  # two writers of one contact's events take turns
        session.execute(
            select(col(Contact.id)).where(col(Contact.id).in_(contacts)).order_by(col(Contact.id)).with_for_update()
        )
    mine = [~col(Event.machine), *([] if contacts is None else [col(Event.contact_id).in_(contacts)])]
    session.execute(delete(Activity).where(*([] if contacts is None else [col(Activity.contact_id).in_(contacts)])))
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
    latest = [func.max(case((event.c.place == n, event.c.at))).label(f"latest_{n}") for n in range(1, KEPT + 1)]
    summed = func.coalesce(func.sum(case((event.c.currency == currency, event.c.amount), else_=0)), 0)
    rows = select(
        event.c.contact_id, event.c.kind, func.count().label("count"), func.min(event.c.at), summed, *latest
    ).group_by(event.c.contact_id, event.c.kind)
    columns = ["contact_id", "kind", "count", "first_at", "total", *(f"latest_{n}" for n in range(1, KEPT + 1))]
    session.execute(insert(Activity).from_select(columns, rows))
