"""Likely duplicates: contacts that share a mailbox, a name and a birthday, or a name and a town; with score and
reasons."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from rapidfuzz.fuzz import WRatio
from sqlalchemy import func, or_, select
from sqlmodel import Session, col

from passaparola.contacts.matching import propose_merge
from passaparola.store.models import Address, Contact

GOOGLE = ("gmail.com", "googlemail.com")  # dots do not count there: https://support.google.com/mail/answer/7436150
MAX_SIMILAR = 6  # more rows than this that look alike are a common name, and no person
MIN_SCORE = 0.7


@dataclass(frozen=True)
class DuplicateCandidate:
    id: int
    name: str
    birthday: str | None
    city: str | None
    media: frozenset[str]


def propose_duplicates(session: Session, now: datetime) -> int:
    """Propose merges that have not been proposed yet. Return how many."""
    proposed = 0
    for first, second, reason in _same_mailbox(session):
        proposed += propose_merge(session, first, second, 0.95, [reason], now)
    for candidate, other_candidate in _similar_pairs(session):
        score, reasons = similarity(candidate, other_candidate)
        if score >= MIN_SCORE:
            proposed += propose_merge(session, candidate.id, other_candidate.id, score, reasons, now)
    return proposed


def similarity(first: DuplicateCandidate, second: DuplicateCandidate) -> tuple[float, list[str]]:
    """Score two rows as one person, with the reasons; 0 where something speaks against it."""
    if first.birthday and second.birthday and first.birthday != second.birthday:
        return 0.0, []
    names = WRatio(first.name.lower(), second.name.lower()) / 100
    if names < 0.88:
        return 0.0, []
    reasons = ["the same name" if names > 0.995 else f"names that are alike ({first.name} – {second.name})"]
    score = 0.5 * names
    if first.birthday and first.birthday == second.birthday:
        score += 0.35
        reasons.append("the same birthday")
    if first.city and second.city and first.city.lower() == second.city.lower():
        score += 0.15
        reasons.append(f"both in {first.city}")
    if not first.media & second.media:
        score += 0.1
        reasons.append("never on the same medium")
    return min(score, 0.94), reasons


def canonical_mailbox(email: str) -> str:
    """Return the mailbox that an address leads to, as far as that is known."""
    local, _, domain = email.rpartition("@")
    local = local.partition("+")[0]
    return f"{local.replace('.', '')}@gmail.com" if domain in GOOGLE else f"{local}@{domain}"


def _same_mailbox(session: Session) -> Iterator[tuple[int, int, str]]:
    value = col(Address.value)
    chosen = select(value, col(Address.contact_id)).where(
        col(Address.medium) == "email", or_(value.contains("+"), *(value.endswith(f"@{domain}") for domain in GOOGLE))
    )
    boxes: dict[str, set[int]] = defaultdict(set)
    for email, contact in session.execute(chosen):
        boxes[canonical_mailbox(email)].add(contact)
    plain = select(value, col(Address.contact_id)).where(col(Address.medium) == "email", value.in_(list(boxes)))
    for email, contact in session.execute(plain):
        boxes[email].add(contact)
    for box, people in boxes.items():
        if 1 < len(people) <= MAX_SIMILAR:
            for first, second in combinations(sorted(people), 2):
                yield first, second, f"their addresses lead to one mailbox ({box.partition('@')[2]})"


def _similar_pairs(session: Session) -> Iterator[tuple[DuplicateCandidate, DuplicateCandidate]]:
    """Yield pairs that share the start of a last name, and a birthday or first name and town."""
    blocks: dict[tuple[Any, ...], list[DuplicateCandidate]] = defaultdict(list)
    for row in _load_candidates(session):
        first, _, last = row.name.lower().partition(" ")
        if row.birthday and last:
            blocks["birthday", row.birthday, last[:3]].append(row)
        if row.city and last:
            blocks["town", row.city.lower(), first, last[:3]].append(row)
    seen: set[tuple[int, int]] = set()
    for rows in blocks.values():
        if len(rows) > MAX_SIMILAR:
            continue
        for former, second in combinations(rows, 2):
            pair = (min(former.id, second.id), max(former.id, second.id))
            if pair not in seen:
                seen.add(pair)
                yield former, second


def _load_candidates(session: Session) -> Iterable[DuplicateCandidate]:
    media: dict[int, set[str]] = defaultdict(set)
    for contact, medium in session.execute(select(col(Address.contact_id), col(Address.medium))):
        media[contact].add(medium)
    people = select(
        col(Contact.id),
        func.coalesce(col(Contact.first_name), "") + " " + func.coalesce(col(Contact.last_name), ""),
        col(Contact.birthday),
        col(Contact.city),
    ).where(col(Contact.erased_at).is_(None), col(Contact.merged_into).is_(None), col(Contact.last_name).is_not(None))
    for id_, name, birthday, city in session.execute(people):
        yield DuplicateCandidate(id_, name.strip(), birthday, city, frozenset(media[id_]))
