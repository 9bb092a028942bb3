"""Merging of contacts: certain matches are merged automatically, likely ones are proposed, every merge can be undone.

A shop's or a till's own customer number is certain. Next an email address decides; a telephone or a handle may be a
household's or a team's as soon as it comes with another email, and only proposes.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from passaparola.contacts import activity
from passaparola.contacts.audience.words import TRAITS
from passaparola.errors import NotAllowed, Unknown
from passaparola.settings import Settings
from passaparola.store.bulk import execute_update, in_values
from passaparola.store.database import audit
from passaparola.store.models import Address, Consent, Contact, Conversation, Enrolment, Event, Merge, Proposal, SignUp

FIELDS = (*TRAITS, "birthday", "max_per_week", "paused_until")
MOVED: dict[str, Any] = {
    "consent": Consent,
    "event": Event,
    "enrolment": Enrolment,
    "conversation": Conversation,
    "sign_up": SignUp,
}
# Whose word counts more, where two rows say different things: their own, then a shop's, then a file's.
OWN_WORDS_SOURCES = ("sign-up", "preferences", "survey", "form")


def resolve_contact(session: Session, contact_id: int) -> int:
    """Return the contact that an id stands for now: old ids keep leading to the person. Raises Unknown."""
    seen = contact_id
    for _ in range(100):
        kept = session.execute(select(col(Contact.id), col(Contact.merged_into)).where(col(Contact.id) == seen)).first()
        if kept is None:
            raise Unknown(f"There is no contact {contact_id}.")
        if kept.merged_into is None:
            return seen
        seen = kept.merged_into
    raise Unknown(f"Contact {contact_id} leads round in a circle.")


def resolve_contacts(session: Session, contacts: Collection[int]) -> dict[int, int]:
    """Resolve many ids at once, as `resolve_contact` does."""
    resolved = {contact: contact for contact in contacts}
    moved = select(col(Contact.id), col(Contact.merged_into)).where(
        in_values(session, col(Contact.id), contacts), col(Contact.merged_into).is_not(None)
    )
    for contact, _ in session.execute(moved).all() if contacts else ():
        resolved[contact] = resolve_contact(session, contact)
    return resolved


def merge(
    session: Session, settings: Settings, contact: int, other: int, *, actor: str, now: datetime, reasons: list[str]
) -> Merge:
    """Merge the second contact into the first. Raises NotAllowed, Unknown."""
    kept_id, merged_id = resolve_contact(session, contact), resolve_contact(session, other)
    if kept_id == merged_id:
        raise NotAllowed(f"Contacts {contact} and {other} are one person already.")
    locked = select(Contact).where(col(Contact.id).in_([kept_id, merged_id])).order_by(col(Contact.id))
    people = {person.id: person for person in session.execute(locked.with_for_update()).scalars()}
    kept, merged = people[kept_id], people[merged_id]
    if kept.erased_at or merged.erased_at:
        raise NotAllowed("Who asked to be forgotten is merged with nobody.")
    before = {name: jsonable(getattr(kept, name)) for name in (*FIELDS, "traits", "sources")}
    fields = _surviving_fields(kept, merged)
    moved: dict[str, Any] = {name: _move(session, table, merged_id, kept_id) for name, table in MOVED.items()}
    moved["address"] = _move_addresses(session, merged_id, kept_id)
    merged.merged_into, merged.updated_at, kept.updated_at = kept_id, now, now
    row = Merge(
        kept_id=kept_id,
        merged_id=merged_id,
        at=now,
        actor=actor,
        reasons=reasons,
        moved=moved,
        before=before,
        fields=fields,
    )
    session.add(row)
    decided = update(Proposal).where(
        col(Proposal.one_id) == min(contact, other), col(Proposal.other_id) == max(contact, other)
    )
    execute_update(session, decided.values(state="accepted", decided_by=actor))
    session.flush()
    activity.refresh(session, settings.currency, [kept_id, merged_id])
    audit(session, now, actor, "merged", f"contact:{kept_id}", other=merged_id, merge=row.id)
    return row


def merge_opt_outs(session: Session, row: Merge) -> None:
    """Copy opt-outs made since a merge to the merged row."""
    query = select(Consent).where(
        col(Consent.contact_id) == row.kept_id,
        col(Consent.at) >= row.at,
        ~col(Consent.granted),
        col(Consent.id).not_in(row.moved.get("consent", [])),
    )
    for no in session.execute(query).scalars().all():
        session.add(Consent(**no.model_dump(exclude={"id", "contact_id"}), contact_id=row.merged_id))


def _surviving_fields(kept: Contact, merged: Contact) -> dict[str, Any]:
    """Choose the surviving fields: what the kept row lacks comes from the other; where both have it, what the
    contact typed themselves, then the newer one."""
    taken: dict[str, Any] = {}
    for name in FIELDS:
        kept_value, merged_value = getattr(kept, name), getattr(merged, name)
        if merged_value is None or merged_value == kept_value:
            continue
        why = "the other did not say" if kept_value is None else _preferred(name, kept, merged)
        if why:
            setattr(kept, name, merged_value)
            taken[name] = {"from": merged.id, "why": why, "value": jsonable(merged_value)}
    fresh = {name: value for name, value in merged.traits.items() if name not in kept.traits}
    if fresh:
        kept.traits = {**kept.traits, **fresh}
        taken |= {
            f"traits.{name}": {"from": merged.id, "why": "the other did not say", "value": value}
            for name, value in fresh.items()
        }
    spoken = {name: merged.sources[name] for name in taken if name in merged.sources}
    if spoken:
        kept.sources = {**kept.sources, **spoken}
    return taken


def _preferred(name: str, kept: Contact, merged: Contact) -> str:
    kept_source, merged_source = kept.sources.get(name), merged.sources.get(name)
    if not merged_source:
        return ""
    own_words = [
        any(word in str(source.get("by", "")) for word in OWN_WORDS_SOURCES)
        for source in (kept_source or {}, merged_source)
    ]
    if own_words[0] != own_words[1]:
        return "they told it themselves" if own_words[1] else ""
    if str(merged_source.get("at", "")) > str((kept_source or {}).get("at", "")):
        return f"it is newer, from {merged_source.get('by', 'somewhere')}"
    return ""


def _move(session: Session, table: Any, source: int, to: int) -> list[int]:
    mine = select(col(table.id)).where(col(table.contact_id) == source)
    if table is Enrolment:  # one passage that both made stays two rows; nobody is written to twice for being one person
        other_enrolment: Any = aliased(Enrolment)
        same = select(other_enrolment.id).where(
            other_enrolment.contact_id == to,
            other_enrolment.launch_id == col(Enrolment.launch_id),
            other_enrolment.key == col(Enrolment.key),
        )
        mine = mine.where(~same.exists())
    ids = [int(id_) for id_ in session.execute(mine).scalars()]
    for start in range(0, len(ids), 500):
        chosen = update(table).where(col(table.id).in_(ids[start : start + 500]))
        execute_update(session, chosen.values(contact_id=to))
    return ids


def _move_addresses(session: Session, source: int, to: int) -> list[list[Any]]:
    """Move addresses behind the kept row's own, which are written to first."""
    mine = list(
        session.execute(select(Address).where(col(Address.contact_id) == source).order_by(col(Address.rank))).scalars()
    )
    moved = []
    for address in mine:
        taken = len(
            session.execute(
                select(col(Address.value)).where(col(Address.contact_id) == to, col(Address.medium) == address.medium)
            ).all()
        )
        moved.append([address.medium, address.value, address.rank])
        address.contact_id, address.rank = to, taken
        session.flush()
    return moved


def jsonable(value: object) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
