"""Undoing of merges: what was learned before goes back to its contact, what was learned since stays."""

from datetime import datetime

from sqlalchemy import select, update
from sqlmodel import Session, col

from passaparola.contacts import activity
from passaparola.contacts.merging import MOVED, jsonable, merge_opt_outs
from passaparola.errors import NotAllowed, Unknown
from passaparola.settings import Settings
from passaparola.store.bulk import execute_update
from passaparola.store.database import audit
from passaparola.store.models import Address, Contact, Merge


def unmerge(session: Session, settings: Settings, merge_id: int, *, actor: str, now: datetime) -> Merge:
    """Undo a merge: everything that changed hands goes back; what came after the merge stays.

    Raises Unknown, NotAllowed.
    """
    row = _undoable_merge(session, merge_id)
    kept, merged = session.get(Contact, row.kept_id), session.get(Contact, row.merged_id)
    assert kept is not None
    assert merged is not None
    if kept.erased_at or merged.erased_at:
        raise NotAllowed("They asked to be forgotten; there is nothing left to part.")
    _move_back(session, row)
    for name in row.fields:
        _restore_field(kept, name, row)
    merged.merged_into, row.undone_at, kept.updated_at, merged.updated_at = None, now, now, now
    session.flush()
    activity.refresh(session, settings.currency, [row.kept_id, row.merged_id])
    audit(session, now, actor, "parted", f"contact:{row.kept_id}", other=row.merged_id, merge=merge_id)
    return row


def _undoable_merge(session: Session, merge_id: int) -> Merge:
    """Return a merge that may be undone. Raises Unknown, NotAllowed."""
    row = session.get(Merge, merge_id)
    if row is None:
        raise Unknown(f"There is no merge {merge_id}.")
    if row.undone_at:
        raise NotAllowed(f"Merge {merge_id} has been undone already.")
    both = [row.kept_id, row.merged_id]
    later = select(col(Merge.id)).where(
        col(Merge.id) > merge_id,
        col(Merge.undone_at).is_(None),
        col(Merge.kept_id).in_(both) | col(Merge.merged_id).in_(both),
    )
    if newer := session.execute(later.limit(1)).scalar():
        raise NotAllowed(f"Undo merge {newer} first: it came after this one.")
    return row


def _move_back(session: Session, row: Merge) -> None:
    """Give back the rows and addresses that the merge moved."""
    for name, table in MOVED.items():
        moved = update(table).where(col(table.id).in_(row.moved.get(name, [])), col(table.contact_id) == row.kept_id)
        execute_update(session, moved.values(contact_id=row.merged_id))
    merge_opt_outs(session, row)
    for medium, value, rank in row.moved.get("address", []):
        address = update(Address).where(col(Address.medium) == medium, col(Address.value) == value)
        still = address.where(col(Address.contact_id) == row.kept_id)
        execute_update(session, still.values(contact_id=row.merged_id, rank=rank))
    session.flush()
    session.expire_all()


def _restore_field(kept: Contact, name: str, row: Merge) -> None:
    """Restore a field that still is as the merge made it; what was learnt since stays."""
    made = row.fields[name].get("value")
    if name.startswith("traits."):
        trait = name.removeprefix("traits.")
        if kept.traits.get(trait) == made:
            kept.traits = {key: value for key, value in kept.traits.items() if key != trait}
        return
    if jsonable(getattr(kept, name)) == made:
        was = row.before.get(name)
        setattr(kept, name, datetime.fromisoformat(was) if name == "paused_until" and was else was)
        kept.sources = {
            **{k: v for k, v in kept.sources.items() if k != name},
            **({name: row.before["sources"][name]} if name in row.before.get("sources", {}) else {}),
        }
