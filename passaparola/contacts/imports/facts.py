"""Consents and purchases of imported rows, recorded for their contacts."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from passaparola.contacts import activity, events
from passaparola.contacts.events import NewEvent
from passaparola.contacts.imports.plan import ImportPlan
from passaparola.contacts.imports.rows import Person
from passaparola.store.bulk import in_values, insert_many
from passaparola.store.database import audit
from passaparola.store.models import Consent

PersonAndContact = tuple[Person, int]  # a row, and the contact that it is about


def record_consents(
    session: Session, plan: ImportPlan, pairs: list[PersonAndContact], created: Collection[int], now: datetime
) -> list[int]:
    """Record consents where nothing was said before, or where the file's yes is dated later than what was said.

    `created` are the contacts that this chunk made: they never answered before. Return the lines whose yes was written,
    one for each consent.
    """
    wanted = _wanted_consents(plan, pairs)
    latest = _latest_answers(session, {contact for contact, _, _ in wanted} - set(created)) if wanted else {}
    rows, lines = [], []
    for (contact, topic, medium), person in wanted.items():
        answers = latest.get((contact, medium), {})
        last = max((at for name, at in answers.items() if name in (topic, "*")), default=None)
        if last is None or (person.consent_at and person.consent_at > last):
            rows.append(_consent_row(plan, contact, topic, medium, person, now))
            lines.append(person.line)
    if rows:
        insert_many(session, Consent, rows)
        audit(session, now, "import", "consents recorded", f"file:{plan.path.name}", count=len(rows))
    return lines


def _wanted_consents(plan: ImportPlan, pairs: list[PersonAndContact]) -> dict[tuple[int, str, str], Person]:
    """Collect each yes by (contact, topic, medium); a contact who says no in any row says yes in none."""
    wanted: dict[tuple[int, str, str], Person] = {}
    refused = {contact for person, contact in pairs if person.refuses}
    for person, contact in pairs:
        if contact in refused:
            continue
        for topic, medium in [*person.topics, *((topic, "email") for topic in plan.topics)]:
            if medium in person.addresses:
                wanted.setdefault((contact, topic, medium), person)
    return wanted


def _latest_answers(session: Session, contacts: set[int]) -> dict[tuple[int, str], dict[str, datetime]]:
    """Return when each contact last answered about each topic, by contact and medium."""
    latest: dict[tuple[int, str], dict[str, datetime]] = {}
    chosen = select(col(Consent.contact_id), col(Consent.medium), col(Consent.topic), col(Consent.at))
    of_contacts = chosen.where(in_values(session, col(Consent.contact_id), contacts))
    for contact, medium, topic, at in session.execute(of_contacts):
        answers = latest.setdefault((contact, medium), {})
        answers[topic] = max(at, answers.get(topic, at))
    return latest


def _consent_row(
    plan: ImportPlan, contact: int, topic: str, medium: str, person: Person, now: datetime
) -> dict[str, Any]:
    return {
        "contact_id": contact,
        "medium": medium,
        "topic": topic,
        "granted": True,
        "basis": "consent",
        "source": person.consent_source or plan.source or f"import of {plan.path.name}",
        "proof": {"file": plan.path.name, "line": person.line},
        "at": person.consent_at or now,
    }


def record_purchases(
    session: Session, plan: ImportPlan, pairs: list[PersonAndContact], now: datetime
) -> tuple[int, set[int]]:
    """Record purchases that are not known yet. Return their number and their lines."""
    rows = [
        NewEvent(
            contact,
            "order_completed",
            bought.at,
            now,
            "import",
            bought.id,
            bought.amount,
            bought.currency,
            {"order_id": bought.id} | ({"items": bought.items} if bought.items else {}),
        )
        for person, contact in pairs
        if (bought := person.purchase)
    ]
    if not rows:
        return 0, set()
    fresh = events.record_events(session, rows)
    activity.add_events(session, plan.settings.currency, fresh)
    ids = {event.source_id for event in fresh}
    return len(fresh), {person.line for person, _ in pairs if person.purchase and person.purchase.id in ids}
