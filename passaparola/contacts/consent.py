"""What contacts allow: consents are appended, suppressions outlive everything."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from passaparola.contacts.audience.compile import latest_consent
from passaparola.store.database import audit
from passaparola.store.models import Address, Consent, Suppression


def may_be_written_to(session: Session, contact_id: int, medium: str, topic: str) -> bool:
    return bool(session.execute(select(latest_consent(contact_id, medium, topic))).scalar())


def latest_answers(
    session: Session, contact_id: int, asked: Collection[tuple[str, str]]
) -> dict[tuple[str, str], bool | None]:
    """Return the latest yes or no to each (topic, medium), in one statement; None where they were never asked."""
    if not asked:
        return {}
    row = session.execute(select(*(latest_consent(contact_id, medium, topic) for topic, medium in asked))).one()
    return dict(zip(asked, row, strict=True))


def record(  # noqa: PLR0913  a consent is as many facts, each named by its caller
    session: Session,
    contact_id: int,
    medium: str,
    topic: str,
    granted: bool,
    *,
    at: datetime,
    source: str,
    basis: str = "consent",
    proof: dict[str, Any] | None = None,
) -> bool:
    """Append a yes or a no; False when the same already stands. Topic `*` is every topic."""
    latest = select(col(Consent.granted), col(Consent.at)).where(
        col(Consent.contact_id) == contact_id, col(Consent.medium) == medium, col(Consent.topic).in_([topic, "*"])
    )
    last = session.execute(latest.order_by(col(Consent.at).desc(), col(Consent.id).desc()).limit(1)).first()
    if last and last.granted is granted:
        return False
    # What is said now is later than what was said before, whatever clock dated that.
    at = max(at, last.at + timedelta(microseconds=1)) if last else at
    session.add(
        Consent(
            contact_id=contact_id,
            medium=medium,
            topic=topic,
            granted=granted,
            basis=basis,
            source=source,
            proof=proof or {},
            at=at,
        )
    )
    audit(
        session, at, source, "said yes" if granted else "said no", f"contact:{contact_id}", topic=topic, medium=medium
    )
    return True


def record_reported(
    session: Session, contact_id: int, topic: str, granted: bool, *, at: datetime, source: str, proof: dict[str, Any]
) -> bool:
    """Record an answer about email with another system's date; it holds only where nothing was said here since."""
    latest = _latest_answer(session, contact_id, topic)
    if latest and (latest[0].at >= at or latest[0].granted is granted):
        return False
    return record(session, contact_id, "email", topic, granted, at=at, source=source, proof=proof)


def record_dated(  # noqa: PLR0913  a consent is as many facts, each named by its caller
    session: Session,
    contact_id: int,
    medium: str,
    topic: str,
    granted: bool,
    *,
    at: datetime,
    source: str,
    proof: dict[str, Any],
) -> None:
    """Record an answer by its own date: the latest by date holds, in whichever order they are recorded. Called once
    for each that is new."""
    if not granted:  # a purchase allows something only to who never said no, also where that is told later
        allowed = select(func.max(col(Consent.at))).where(
            col(Consent.contact_id) == contact_id,
            col(Consent.medium) == medium,
            col(Consent.basis) == "soft_opt_in",
            col(Consent.granted),
            *([] if topic == "*" else [col(Consent.topic) == topic]),
        )
        at = max(filter(None, [at, session.execute(allowed).scalar()]))
    session.add(
        Consent(
            contact_id=contact_id,
            medium=medium,
            topic=topic,
            granted=granted,
            basis="consent",
            source=source,
            proof=proof,
            at=at,
        )
    )
    action = "said yes" if granted else "said no"
    audit(session, at, source, action, f"contact:{contact_id}", topic=topic, medium=medium)


def record_soft_opt_in(
    session: Session, contact_id: int, topic: str, *, agrees: bool | None, at: datetime, source: str, order: str
) -> bool:
    """Record a soft opt-in: a buyer who was told so and could refuse may be emailed about similar products until they
    say no (ePrivacy directive, 13.2; in Italy art. 130.4 of the Codice privacy). Not where they were asked and did not
    agree, and never over an answer that they gave."""
    if agrees is False or _latest_answer(session, contact_id, topic):
        return False
    return record(
        session,
        contact_id,
        "email",
        topic,
        True,
        at=at,
        source=source,
        basis="soft_opt_in",
        proof={"order": order, "told": "at the checkout"},
    )


def _latest_answer(session: Session, contact_id: int, topic: str) -> list[Any]:
    query = select(col(Consent.granted), col(Consent.at)).where(
        col(Consent.contact_id) == contact_id, col(Consent.medium) == "email", col(Consent.topic).in_([topic, "*"])
    )
    return list(session.execute(query.order_by(col(Consent.at).desc(), col(Consent.id).desc())).all())


# Of several reasons the gravest is kept, as of its earliest day, whichever was told first. What is not here stays.
DERIVED = "soft bounces"  # a suppression that follows from a count, and goes with it
SEVERITY = ("complaint", "hard bounce", "invalid address")


def suppress(session: Session, medium: str, key: str, reason: str, *, at: datetime, source: str) -> bool:
    """Suppress an address for good. Return False where it already is suppressed."""
    if existing := session.get(Suppression, key):
        if _outweighs(reason, at, existing):
            existing.reason, existing.at, existing.source = reason, at, source
        return False
    session.add(Suppression(key=key, medium=medium, reason=reason, source=source, at=at))
    contact = session.execute(select(col(Address.contact_id)).where(col(Address.key) == key)).scalar()
    audit(
        session, at, source, "suppressed", f"contact:{contact}" if contact else "address", reason=reason, medium=medium
    )
    return True


def _outweighs(reason: str, at: datetime, existing: Suppression) -> bool:
    if reason not in SEVERITY:
        return reason == existing.reason and at < existing.at
    known = SEVERITY.index(existing.reason) if existing.reason in SEVERITY else None
    if known is None:
        return existing.source == DERIVED
    return (SEVERITY.index(reason), at) < (known, existing.at)
