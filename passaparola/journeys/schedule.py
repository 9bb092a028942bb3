"""Campaigns on a schedule: each occurrence is a launch of its own, made exactly once, with the approved words."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlmodel import Session, col

from passaparola.contacts.audience.words import Catalogue
from passaparola.journeys import enrolment, times
from passaparola.store.database import audit
from passaparola.store.models import Approval, Launch, wording_hash

Occurrence = tuple[str, datetime]


def due_occurrences(launch: Launch, now: datetime) -> list[Occurrence]:
    """Return the occurrences that have come since the last one that was launched."""
    every = launch.content["enter"].get("every")
    if not every or not launch.accepting or launch.started_at is None:
        return []
    since = launch.events_cursor or launch.started_at
    return list(times.occurrences(times.parse_schedule(every), launch.content["enter"]["zone"], since, now))


def start_occurrence(
    session: Session, plan: Launch, come: list[Occurrence], known: Catalogue, now: datetime
) -> list[int]:
    """Start the launch of the last occurrence; earlier ones were missed, and are not made up for. `plan` is locked."""
    started: list[int] = []
    for local, at in come[:-1]:
        audit(session, now, "schedule", "missed", f"launch:{plan.id}", occurrence=local, since=at.isoformat())
    local, at = come[-1]
    plan.events_cursor = at
    session.add(plan)
    if plan.late_after is not None and now > at + timedelta(seconds=plan.late_after):
        audit(session, now, "schedule", "missed", f"launch:{plan.id}", occurrence=local, since=at.isoformat())
        return started
    name = f"{plan.campaign}@{local}[{plan.content['enter']['zone']}]"
    if session.execute(select(col(Launch.id)).where(col(Launch.occurrence) == name)).scalar() is not None:
        return started
    made = _launch_of_occurrence(plan, name, at, now)
    session.add(made)
    session.flush()
    assert made.id is not None
    _copy_approval(session, plan, made)
    people = enrolment.enrol_audience(session, made, known, now)
    audit(session, now, "schedule", "launched", f"launch:{made.id}", occurrence=local, audience=people)
    started.append(made.id)
    return started


def next_occurrence(plan: Launch, now: datetime) -> datetime | None:
    """Return when a scheduled campaign starts its next launch; None: it is on no schedule."""
    every = plan.content["enter"].get("every")
    if not every or not plan.accepting:
        return None
    coming = times.next_occurrence(times.parse_schedule(every), plan.content["enter"]["zone"], now)
    return coming[1] if coming else None


def _launch_of_occurrence(plan: Launch, name: str, at: datetime, now: datetime) -> Launch:
    return Launch(
        campaign=plan.campaign,
        hash=wording_hash(plan.content, at),
        wording=plan.wording,
        content=plan.content,
        state="running",
        occurrence=name,
        priority=plan.priority,
        due_at=at,
        late_after=plan.late_after,
        created_at=now,
        started_at=at,
        transactional=plan.transactional,
    )


def _copy_approval(session: Session, plan: Launch, made: Launch) -> None:
    """Approve an occurrence as its plan was approved, which stands for all of them."""
    given = session.execute(select(Approval).where(col(Approval.launch_id) == plan.id)).scalar()
    if given:
        comment = f"as launch {plan.id}, which stands for every occurrence"
        session.add(
            Approval(
                launch_id=made.id or 0,
                hash=made.hash,
                approver=given.approver,
                at=given.at,
                expires_at=given.expires_at,
                comment=comment,
            )
        )
