"""How long things are kept: raw bodies for a month, feedback for two years, a sign-up nobody confirmed for a week.

What a person did (orders, answers, conversations) stays as long as they do; numbers stay in the audit.
"""

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from passaparola.channel.receiver import MESSAGE_FEEDBACK_KINDS
from passaparola.contacts import activity, events
from passaparola.contacts.signup import CONFIRMATION_VALID
from passaparola.privacy import erasure
from passaparola.settings import Settings
from passaparola.store.bulk import execute_update, in_values
from passaparola.store.database import Store, audit
from passaparola.store.models import Address, Consent, Conversation, Event, Merge, RawBody, SignUp

EXPIRING_KINDS = ("accepted", "delivered", "deferred", "opened", "clicked")
DELETE_BATCH_ROWS = 5_000


def purge_expired(store: Store, settings: Settings, now: datetime) -> Counter[str]:
    """Delete what has been kept long enough. Return what, and how much of it."""
    gone: Counter[str] = Counter()
    with store.write() as session:
        bodies = update(RawBody).where(
            col(RawBody.received_at) < now - timedelta(days=settings.raw_body_retention_days),
            col(RawBody.state).not_in(["new", "waiting"]),
            col(RawBody.body) != b"",
        )
        gone["bodies"] = execute_update(session, bodies.values(body=b"", headers={}))
        gone["events"] = _purge_feedback(session, settings, now)
        late = delete(SignUp).where(col(SignUp.asked_at) < now - CONFIRMATION_VALID, col(SignUp.state) == "ignored")
        gone["sign-ups"] = execute_update(session, late)
        if any(gone.values()):
            audit(session, now, "retention", "let go", "store", **{k.replace("-", "_"): v for k, v in gone.items()})
    for contact in _unconfirmed_contacts(store, now):
        erasure.erase_unconfirmed(store, settings, contact, now=now)
        gone["people who never confirmed"] += 1
    return gone


def _purge_feedback(session: Session, settings: Settings, now: datetime) -> int:
    old = select(col(Event.id), col(Event.contact_id)).where(
        col(Event.kind).in_(EXPIRING_KINDS), col(Event.at) < now - timedelta(days=settings.feedback_retention_days)
    )
    rows = session.execute(old.limit(DELETE_BATCH_ROWS)).all()
    if rows:
        mine = in_values(session, col(Event.id), [id_ for id_, _ in rows])
        events.delete_events(session, mine)
        activity.refresh(session, settings.currency, {contact for _, contact in rows})
    return len(rows)


def _unconfirmed_contacts(store: Store, now: datetime) -> list[int]:
    """Return contacts that only an unconfirmed sign-up ties to us."""
    newer = aliased(SignUp)
    known = (
        select(1).where(
            col(newer.contact_id) == col(SignUp.contact_id), col(newer.asked_at) >= now - CONFIRMATION_VALID
        ),
        select(1).where(col(Consent.contact_id) == col(SignUp.contact_id)),
        select(1).where(
            col(Event.contact_id) == col(SignUp.contact_id), col(Event.kind).not_in(MESSAGE_FEEDBACK_KINDS)
        ),
        select(1).where(col(Conversation.contact_id) == col(SignUp.contact_id)),
        select(1).where(col(Merge.kept_id) == col(SignUp.contact_id)),
    )
    chosen = select(col(SignUp.contact_id)).where(
        col(SignUp.made_contact),
        col(SignUp.state) == "written to",
        col(SignUp.asked_at) < now - CONFIRMATION_VALID,
        *(~known_.exists() for known_ in known),
    )
    reached = select(1).where(col(Address.contact_id) == col(SignUp.contact_id)).exists()
    with store.read() as session:
        return [id_ for id_ in session.execute(chosen.where(reached).distinct()).scalars() if id_ is not None]
