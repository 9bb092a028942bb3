"""Sign-up with double opt-in: asked on the page, confirmed from the mailbox, and only then a consent with both as
proof.

The second yes is the least that proves consent in Italy: Garante, provvedimento 330 of 4 June 2025.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlmodel import Session, col

from passaparola.contacts import activity, consent, events
from passaparola.contacts.addresses import address_key, normalise_address
from passaparola.contacts.events import NewEvent
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Address, Contact, SignUp, Suppression

CONFIRMATION_INTERVAL = timedelta(hours=24)  # one confirmation to one address, however often someone asks for it
CONFIRMATION_VALID = timedelta(days=7)
CONFIRMATIONS_PER_RUN = 200


def request_signup(
    session: Session, address: str, topics: Sequence[str], language: str, proof: dict[str, Any], now: datetime
) -> None:
    """Store a sign-up and nothing else, so that whether we know the address makes no difference that anyone could
    see or measure."""
    session.add(
        SignUp(medium="email", address=address[:320], language=language, topics=list(topics), proof=proof, asked_at=now)
    )


def send_confirmations(
    store: Store, settings: Settings, now: datetime, write: Callable[[Session, int, int, str], None]
) -> int:
    """Send the confirmations that are due, by `write(session, contact, sign-up, language)`. Return how many."""
    with store.read() as session:
        if session.execute(select(col(SignUp.id)).where(col(SignUp.state) == "asked").limit(1)).scalar() is None:
            return 0
    written = 0
    with store.write() as session:
        query = select(SignUp).where(col(SignUp.state) == "asked").order_by(col(SignUp.id)).limit(CONFIRMATIONS_PER_RUN)
        for row in session.execute(query.with_for_update(skip_locked=True)).scalars().all():
            contact = _contact(session, settings, row, now)
            row.address = ""
            if contact is None:
                row.state = "ignored"
                continue
            row.contact_id, row.state = contact, "written to"
            session.flush()
            write(session, contact, row.id or 0, row.language)
            written += 1
    return written


def _contact(session: Session, settings: Settings, row: SignUp, now: datetime) -> int | None:
    """Find or create the contact to confirm. Return None where it is no address, one that is never written to
    again, or one that had its email today."""
    try:
        value = normalise_address("email", row.address)
    except ValueError:
        return None
    key = address_key(settings.secret, "email", value)
    if session.get(Suppression, key):
        return None
    known = session.get(Address, ("email", value))
    if known is None:
        person = Contact(language=row.language or None, created_at=now, updated_at=now, traits={})
        if row.language:
            person.sources = {"language": {"by": "sign-up page", "at": now.isoformat()}}
        session.add(person)
        session.flush()
        assert person.id is not None
        session.add(Address(medium="email", value=value, contact_id=person.id, key=key))
        session.flush()
        row.made_contact = True
        return person.id
    recent = select(col(SignUp.id)).where(
        col(SignUp.contact_id) == known.contact_id,
        col(SignUp.asked_at) > row.asked_at - CONFIRMATION_INTERVAL,
        col(SignUp.state).in_(["written to", "confirmed"]),
    )
    return None if session.execute(recent.limit(1)).scalar() is not None else known.contact_id


def confirm_signup(
    session: Session, settings: Settings, id_: int, proof: dict[str, Any], now: datetime
) -> SignUp | None:
    """Confirm a sign-up by the second yes. Return None where there is no such sign-up, or it came too late.
    Confirming twice is confirming once."""
    row = session.get(SignUp, id_, with_for_update=True)
    if row is None or row.contact_id is None or row.state not in ("written to", "confirmed"):
        return None
    if row.state == "confirmed":
        return row
    if now - row.asked_at > CONFIRMATION_VALID:
        return None
    row.state, row.confirmed_at = "confirmed", now
    whole = {"asked": row.proof | {"at": row.asked_at.isoformat()}, "confirmed": proof | {"at": now.isoformat()}}
    for topic in row.topics:
        consent.record(
            session, row.contact_id, row.medium, topic, True, at=now, source="sign-up, confirmed by mail", proof=whole
        )
    verified = update(Address).where(col(Address.contact_id) == row.contact_id, col(Address.medium) == row.medium)
    session.execute(verified.where(col(Address.rank) == 0).values(verified_at=now))
    event = NewEvent(row.contact_id, "signed_up", now, now, "sign-up", str(id_), properties={"topics": row.topics})
    activity.add_events(session, settings.currency, events.record_events(session, [event]))
    return row
