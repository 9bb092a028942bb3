"""Matching to contacts: which addresses identify, and which merges are proposed where that is uncertain."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import or_, select
from sqlmodel import Session, col

from passaparola.contacts.audience.words import media
from passaparola.contacts.merging import merge, resolve_contact
from passaparola.settings import Settings
from passaparola.store.database import insert_or_ignore
from passaparola.store.models import Address, Proposal

MAX_SHARERS = 6  # more people than this with one telephone are an office, and no household


def identifying_addresses(addresses: Mapping[str, str]) -> set[tuple[str, str]]:
    """Return, of the addresses of one event or row, those that identify a contact: a shop's own number and an email
    where there is either, else handles, else telephones."""
    numbers = {pair for pair in addresses.items() if pair[0] not in media()}
    emails = {pair for pair in addresses.items() if pair[0] == "email"}
    handles = {pair for pair in addresses.items() if pair[0] != "phone"} - numbers - emails
    return numbers | emails or handles or set(addresses.items())


def decide_between(
    session: Session,
    settings: Settings,
    owners: Collection[int],
    addresses: Mapping[str, str],
    source: str,
    now: datetime,
) -> int:
    """Merge the contacts that an event's addresses belong to where that is sure, else propose it. Return the one to
    use."""
    kept, *others = sorted(owners)
    sure = any(medium not in media() for medium in addresses)
    for other in others:
        if sure and resolve_contact(session, kept) != resolve_contact(session, other):
            merge(
                session,
                settings,
                kept,
                other,
                actor=source,
                now=now,
                reasons=[f"{source} knows both under one customer number"],
            )
        elif not sure:
            propose_merge(
                session, kept, other, 0.8, [f"{source} named {' and '.join(sorted(addresses))} of both at once"], now
            )
    if sure:
        return resolve_contact(session, kept)
    by_email = select(col(Address.contact_id)).where(
        col(Address.medium) == "email", col(Address.value) == addresses.get("email", "")
    )
    owner: int | None = session.execute(by_email).scalar()
    return owner if owner is not None and owner in owners else kept


def propose_merge(session: Session, contact: int, other: int, score: float, reasons: list[str], now: datetime) -> bool:
    """Propose a merge. False: it has been proposed before, whatever became of it."""
    first, second = sorted((contact, other))
    row = insert_or_ignore(session, Proposal).values(
        one_id=first, other_id=second, score=round(score, 2), reasons=reasons, at=now, state="open", decided_by=""
    )
    return session.execute(row.returning(col(Proposal.id))).scalar() is not None


def propose_shared_address(session: Session, contact: int, other: int, medium: str, source: str, now: datetime) -> bool:
    """Propose a merge of two people with one telephone or handle. False: it has been proposed, or so many share it
    that it is a switchboard's."""
    mine = or_(col(Proposal.one_id) == other, col(Proposal.other_id) == other)
    reason = f"{source} named one {medium} of both"
    so_far = session.execute(select(col(Proposal.reasons)).where(mine)).scalars()
    if sum(reason in reasons for reasons in so_far) >= MAX_SHARERS:
        return False
    return propose_merge(session, contact, other, 0.8, [reason], now)
