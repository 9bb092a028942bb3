"""Launches: content and audience frozen under one hash, approved by that hash, or not at all."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlmodel import Session, col

from passaparola import clock
from passaparola.contacts import audience
from passaparola.errors import NotAllowed, PassaparolaError, Unknown
from passaparola.failpoints import failpoint
from passaparola.journeys import enrolment
from passaparola.journeys.freeze import FreezeMessage, freeze_content
from passaparola.settings import Settings
from passaparola.store.database import Store, audit
from passaparola.store.models import Approval, Launch, wording_hash
from passaparola.store.recalls import recall

APPROVAL_VALID = timedelta(days=7)


def prepare(  # noqa: PLR0913  the parts of a decision, each named by its caller
    store: Store,
    settings: Settings,
    name: str,
    freeze: FreezeMessage,
    *,
    actor: str,
    now: datetime,
    due_at: datetime | None = None,
    occurrence: str | None = None,
) -> Launch:
    """Freeze the content and enrol the audience; nothing is sent before it is approved and released.

    A standing campaign (on a schedule, on an event) takes people in from its release on.
    Asked again for the same `occurrence`, it returns the launch that was made the first time.

    Raises:
        Unknown, BadContent: the campaign does not exist, or is not valid.
        NotAllowed: it stands already with the same words, or its time has passed.
    """
    with store.read() as session:
        if made := _launch_of(session, occurrence):
            return made
        if due_at is not None and due_at < now:
            at = clock.format_in_full(due_at, settings.time_zone)
            raise NotAllowed(f"{at} has passed; choose a later time, or send it as soon as it is approved.")
        known = audience.load_catalogue(session, settings)
    frozen = freeze_content(settings, name, freeze, known)
    with store.write() as session:
        launch = _new_launch(frozen, due_at or now, now)
        launch.occurrence = occurrence
        if launch.accepting and (same := accepting_launch(session, name)) and same.wording == launch.wording:
            raise NotAllowed(f"“{name}” already stands with exactly these words: launch {same.id}.")
        session.add(launch)
        session.flush()
        people = 0 if launch.accepting else enrolment.enrol_audience(session, launch, known, now)
        audit(session, now, actor, "prepared", f"launch:{launch.id}", campaign=name, hash=launch.hash, audience=people)
        failpoint("frozen")
    return launch


def _launch_of(session: Session, occurrence: str | None) -> Launch | None:
    """Return the launch that was made for an occurrence already."""
    if not occurrence:
        return None
    made: Launch | None = session.execute(select(Launch).where(col(Launch.occurrence) == occurrence)).scalar()
    return made


def _new_launch(frozen: dict[str, Any], due: datetime, now: datetime) -> Launch:
    """Build the launch of frozen content; one on a schedule or an event takes people in from its release on."""
    return Launch(
        campaign=frozen["campaign"],
        hash=wording_hash(frozen, due),
        wording=wording_hash(frozen),
        content=frozen,
        due_at=due,
        created_at=now,
        late_after=frozen["late_after"],
        priority=frozen["priority"],
        accepting="on" in frozen["enter"] or "every" in frozen["enter"],
        transactional=frozen["basis"] == "transactional",
    )


def approve(  # noqa: PLR0913  the parts of a decision, each named by its caller
    store: Store,
    settings: Settings,
    launch_id: int,
    seen: str,
    freeze: FreezeMessage,
    *,
    approver: str,
    now: datetime,
    comment: str = "",
) -> None:
    """Approve a launch by the hash seen. Raises NotAllowed: the files differ by now, or it is past approving."""
    if not approver.strip():
        raise NotAllowed("An approval needs the name of who gives it.")
    with store.write() as session:
        launch = lock_launch(session, launch_id)
        if launch.state != "prepared":
            raise NotAllowed(f"Launch {launch_id} is {launch.state}; only a prepared one can be approved.")
        try:
            known = audience.load_catalogue(session, settings)
            current = wording_hash(freeze_content(settings, launch.campaign, freeze, known), launch.due_at)
        except PassaparolaError as error:  # what it says now cannot even be read
            current = str(error)
        if seen != launch.hash or current != launch.hash:
            recall(session, launch, "its content was changed after it was prepared", now)
            audit(session, now, approver, "approval void", f"launch:{launch_id}", seen=seen, current=current)
            session.commit()
            raise NotAllowed(
                f"“{launch.campaign}” was changed after launch {launch_id} was prepared, so the approval is void. "
                "Send it again to see and approve what it says now."
            )
        launch.state = "approved"
        expires = now + APPROVAL_VALID
        session.add(
            Approval(launch_id=launch_id, hash=seen, approver=approver, comment=comment, at=now, expires_at=expires)
        )
        audit(session, now, approver, "approved", f"launch:{launch_id}", hash=seen, comment=comment)


def release(store: Store, launch_id: int, *, actor: str, now: datetime) -> None:
    """Start an approved launch: from now on it moves its people. Raises NotAllowed: no approval of this hash, or it
    has expired."""
    with store.write() as session:
        launch = lock_launch(session, launch_id)
        if launch.state == "running":
            return  # a tick found it approved, and was faster
        if launch.state != "approved":
            raise NotAllowed(f"Launch {launch_id} is {launch.state}; it must be approved to start.")
        approval = session.execute(
            select(Approval).where(col(Approval.launch_id) == launch_id, col(Approval.hash) == launch.hash)
        ).scalar()
        if approval is None or approval.expires_at < now:
            recall(session, launch, "its approval expired", now)
            session.commit()
            raise NotAllowed(f"The approval of launch {launch_id} has expired. Send “{launch.campaign}” again.")
        launch.state, launch.started_at = "running", now
        if launch.accepting:
            launch.events_from = now
            supersede(session, launch, actor, now)
        failpoint("released")
        audit(session, now, actor, "released", f"launch:{launch_id}", hash=launch.hash)


def release_approved(store: Store, *, actor: str, now: datetime) -> None:
    """Release launches that were approved, and not released because the process died."""
    with store.read() as session:
        waiting = list(session.execute(select(col(Launch.id)).where(col(Launch.state) == "approved")).scalars())
    for launch_id in waiting:
        with suppress(NotAllowed):  # another worker was faster, or the approval has expired and says so
            release(store, launch_id or 0, actor=actor, now=now)


def supersede(session: Session, launch: Launch, actor: str, now: datetime) -> None:
    """Stop older versions from accepting people; those inside finish what they entered."""
    older = select(Launch).where(
        col(Launch.campaign) == launch.campaign, col(Launch.accepting), col(Launch.id) != launch.id
    )
    for other in session.execute(older.where(col(Launch.state).in_(["running", "paused"])).with_for_update()).scalars():
        other.accepting, other.note = False, f"followed by launch {launch.id}"
        # What is told late of the time before the change still enters, here.
        launch.events_from = min(launch.events_from or now, other.events_from or now)
        launch.events_cursor = None if "every" in launch.content["enter"] else other.events_cursor or other.started_at
        audit(session, now, actor, "superseded", f"launch:{other.id}", by=launch.id)


def stop_accepting(store: Store, name: str, *, actor: str, now: datetime) -> int:
    """Stop accepting people; those inside finish. Return the launch. Raises NotAllowed: it accepts nobody."""
    with store.write() as session:
        launch = accepting_launch(session, name)
        if launch is None:
            raise NotAllowed(f"“{name}” is not taking people in.")
        launch.accepting, launch.note = False, f"stopped by {actor}"
        audit(session, now, actor, "stopped", f"launch:{launch.id}")
        assert launch.id is not None
        return launch.id


def accepting_launch(session: Session, name: str) -> Launch | None:
    """Return the launch that accepts people into a campaign now."""
    accepting = select(Launch).where(
        col(Launch.campaign) == name, col(Launch.accepting), col(Launch.state).in_(["running", "paused"])
    )
    launch: Launch | None = session.execute(accepting.order_by(col(Launch.id).desc()).limit(1)).scalar()
    return launch


def unfinished_launch(session: Session, name: str, wording: str) -> int | None:
    """Return the unfinished launch of a campaign with these very words; one of other words is another launch."""
    going = select(col(Launch.id)).where(
        col(Launch.campaign) == name,
        col(Launch.wording) == wording,
        col(Launch.state).in_(["approved", "running", "paused"]),
        or_(~col(Launch.accepting), col(Launch.state) == "approved"),
    )
    return session.execute(going.order_by(col(Launch.id).desc()).limit(1)).scalar()


def reject(store: Store, launch_id: int, *, approver: str, now: datetime, comment: str = "") -> None:
    """Reject a launch. Raises NotAllowed: it is past approving."""
    with store.write() as session:
        launch = lock_launch(session, launch_id)
        if launch.state != "prepared":
            raise NotAllowed(f"Launch {launch_id} is {launch.state}; only a prepared one can be rejected.")
        recall(session, launch, f"rejected by {approver}", now)
        audit(session, now, approver, "rejected", f"launch:{launch_id}", comment=comment)


def lock_launch(session: Session, launch_id: int) -> Launch:
    """Lock a launch until the transaction ends, so that one decides about it at a time. Raises Unknown."""
    launch = session.get(Launch, launch_id, with_for_update=True)
    if launch is None:
        raise Unknown(f"There is no launch {launch_id}.")
    return launch
