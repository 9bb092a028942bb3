"""How long things are kept: raw bodies for a month, feedback for two years, a sign-up nobody confirmed for a week.

What a person did (orders, answers, conversations) stays as long as they do; numbers stay in the audit.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from passaparola.channel.receiver import OF_MESSAGES
from passaparola.contacts import activity, events
from passaparola.contacts.signup import HOLDS
from passaparola.privacy import erasure
from passaparola.settings import Settings
from passaparola.store.bulk import among
from passaparola.store.database import Store, audit
from passaparola.store.models import Address, Consent, Conversation, Event, Intake, Merge, SignUp

FLEETING = ("accepted", "delivered", "deferred", "opened", "clicked")
QUIETLY: dict[str, Any] = {"synchronize_session": False}
AT_ONCE = 5_000


def keep(store: Store, settings: Settings, now: datetime) -> Counter[str]:
    """Let go of what has been kept long enough. Returns what, and how much of it."""
    gone: Counter[str] = Counter()
    with store.write() as session:
        bodies = update(Intake).where(
            col(Intake.received_at) < now - timedelta(days=settings.keep_bodies), col(Intake.state).not_in(["new", "waiting"]), col(Intake.body) != b""
        )  # fmt: skip
        gone["bodies"] = _count(session, bodies.values(body=b"", headers={}))
        gone["events"] = _fleeting(session, settings, now)
        late = delete(SignUp).where(col(SignUp.asked_at) < now - HOLDS, col(SignUp.state) == "ignored")
        gone["sign-ups"] = _count(session, late)
        if any(gone.values()):
            audit(session, now, "retention", "let go", "store", **{k.replace("-", "_"): v for k, v in gone.items()})
    for contact in _never_confirmed(store, now):
        erasure.forget_unconfirmed(store, settings, contact, now=now)
        gone["people who never confirmed"] += 1
    return gone


def _fleeting(session: Session, settings: Settings, now: datetime) -> int:
    old = select(col(Event.id), col(Event.contact_id)).where(
        col(Event.kind).in_(FLEETING), col(Event.at) < now - timedelta(days=settings.keep_feedback)
    )
    rows = session.execute(old.limit(AT_ONCE)).all()
    if rows:
        mine = among(session, col(Event.id), [id_ for id_, _ in rows])
        events.forget(session, mine)
        activity.refresh(session, settings.currency, {contact for _, contact in rows})
    return len(rows)


def _never_confirmed(store: Store, now: datetime) -> list[int]:
    """Whom nothing but an unconfirmed sign-up ties to us."""
    newer = aliased(SignUp)
    known = (
        select(1).where(newer.contact_id == col(SignUp.contact_id), newer.asked_at >= now - HOLDS),  # type: ignore[arg-type]
        select(1).where(col(Consent.contact_id) == col(SignUp.contact_id)),
        select(1).where(col(Event.contact_id) == col(SignUp.contact_id), col(Event.kind).not_in(OF_MESSAGES)),
        select(1).where(col(Conversation.contact_id) == col(SignUp.contact_id)),
        select(1).where(col(Merge.kept_id) == col(SignUp.contact_id)),
    )
    chosen = select(col(SignUp.contact_id)).where(
        col(SignUp.made_contact), col(SignUp.state) == "written to", col(SignUp.asked_at) < now - HOLDS,
        *(~one.exists() for one in known),
    )  # fmt: skip
    reached = select(1).where(col(Address.contact_id) == col(SignUp.contact_id)).exists()
    with store.read() as session:
        return [id_ for id_ in session.execute(chosen.where(reached).distinct()).scalars() if id_ is not None]


def _count(session: Session, statement: Any) -> int:
    done: Any = session.execute(statement, execution_options=QUIETLY)
    return int(done.rowcount)
