"""A campaign set going: content and audience frozen under one hash, approved by that hash, or not at all."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, literal, select
from sqlmodel import Session, col

from channels import carrying, speaking
from contacts import audience
from contacts.audience import Question
from contacts.models import Approval, Contact, Enrolment, Launch, wording_of
from contacts.store import Store, audit
from contacts.types import UtcDateTime
from errors import NotAllowed, Unknown
from failpoints import failpoint
from journeys import campaign as campaigns
from settings import Settings

APPROVAL_HOLDS = timedelta(days=7)

# Compiles a message's wordings on a medium: (message, medium, campaign) → {locale: plain values}.
Freeze = Callable[[str, str, str], Mapping[str, Any]]


def content(settings: Settings, name: str, freeze: Freeze) -> dict[str, Any]:
    """Everything that decides what a launch says and to whom, as plain values. Raises Unknown, BadContent."""
    campaign = campaigns.load(settings.home, name)
    said = [(step.say, medium) for step in campaign.steps for medium in step.by]
    return {
        "campaign": name,
        "title": campaign.title,
        "topic": campaign.topic,
        "audience": campaign.enter.audience,
        "who": audience.load(settings.home, campaign.enter.audience).who,
        "inside": _inside(settings, campaign.enter.audience),
        "steps": [step.model_dump() for step in campaign.steps],
        "locale": campaign.locale or settings.locale,
        "late_after": int(campaign.late.total_seconds()) if campaign.late else None,
        "messages": {f"{message}/{medium}": freeze(message, medium, name) for message, medium in said},
        "public": sorted({medium for _, medium in said if speaking(medium, settings).public}),
        "channels": {medium: carrying(medium, settings).name for _, medium in said},
        "sender": {
            "name": settings.sender_name,
            "email": settings.sender_email,
            "reply_to": settings.reply_to,
            "organisation": settings.organisation,
            "postal_address": settings.postal_address,
            "public_url": settings.public_url,
        },
    }


def _inside(settings: Settings, name: str) -> dict[str, str]:
    """The audiences that an audience is made of, as they read now."""
    words = audience.catalogue(None, settings.home, settings.currency)
    found: dict[str, str] = {}
    waiting = [name]
    while waiting:
        who = audience.load(settings.home, waiting.pop()).who
        for inner in re.findall(r"in\s+audience\s+(\w+)", who):
            if inner in words.audiences and inner not in found:
                found[inner] = words.audiences[inner]
                waiting.append(inner)
    return found


def prepare(
    store: Store,
    settings: Settings,
    name: str,
    freeze: Freeze,
    *,
    actor: str,
    now: datetime,
    due_at: datetime | None = None,
    occurrence: str | None = None,
) -> Launch:
    """Freeze the content and enrol the audience; nothing is sent before it is approved and released.

    Asked again for the same `occurrence`, it returns the launch that was made the first time.
    """
    with store.read() as session:
        made: Launch | None = (
            session.execute(select(Launch).where(col(Launch.occurrence) == occurrence)).scalar() if occurrence else None
        )
        if made:
            return made
    frozen = content(settings, name, freeze)
    due = due_at or now
    with store.write() as session:
        words = audience.catalogue(session, settings.home, settings.currency)
        question = Question.of(frozen["audience"], words)
        launch = Launch(
            campaign=name, hash=wording_of(frozen, due), wording=wording_of(frozen), content=frozen, due_at=due, late_after=frozen["late_after"],
            created_at=now, occurrence=occurrence,
        )  # fmt: skip
        session.add(launch)
        session.flush()
        assert launch.id is not None
        people = _enrol(session, launch.id, question, now, due, public=bool(frozen["public"]))
        audit(session, now, actor, "prepared", f"launch:{launch.id}", campaign=name, hash=launch.hash, audience=people)
        failpoint("frozen")
    return launch


def _enrol(session: Session, launch: int, question: Question, now: datetime, due: datetime, *, public: bool) -> int:
    """The snapshot of who: one INSERT … SELECT; the public's posts hang on an enrolment of the launch's own."""
    columns = ["launch_id", "contact_id", "key", "step", "due_at"]
    members = (
        select(literal(launch), col(Contact.id), literal(""), literal(0), literal(due, UtcDateTime()))
        .where(question.members(now))
        .order_by(col(Contact.id))
    )
    session.execute(insert(Enrolment).from_select(columns, members))
    if public:
        session.add(Enrolment(launch_id=launch, due_at=due))
        session.flush()
    enrolled = select(func.count()).where(col(Enrolment.launch_id) == launch, col(Enrolment.contact_id).is_not(None))
    people: int = session.execute(enrolled).scalar_one()
    return people


def approve(
    store: Store,
    settings: Settings,
    launch_id: int,
    seen: str,
    freeze: Freeze,
    *,
    approver: str,
    now: datetime,
    comment: str = "",
) -> None:
    """Approve what was seen. Raises NotAllowed: it is not what the files say any more, or is past approving."""
    if not approver.strip():
        raise NotAllowed("An approval needs the name of who gives it.")
    with store.write() as session:
        launch = fetch(session, launch_id)
        if launch.state != "prepared":
            raise NotAllowed(f"Launch {launch_id} is {launch.state}; only a prepared one can be approved.")
        current = wording_of(content(settings, launch.campaign, freeze), launch.due_at)
        if seen != launch.hash or current != launch.hash:
            launch.state, launch.note = "recalled", "its content was changed after it was prepared"
            audit(session, now, approver, "approval void", f"launch:{launch_id}", seen=seen, current=current)
            session.commit()
            raise NotAllowed(
                f"“{launch.campaign}” was changed after launch {launch_id} was prepared, so the approval is void. "
                "Send it again to see and approve what it says now."
            )
        launch.state = "approved"
        session.add(
            Approval(
                launch_id=launch_id,
                hash=seen,
                approver=approver,
                comment=comment,
                at=now,
                expires_at=now + APPROVAL_HOLDS,
            )
        )
        audit(session, now, approver, "approved", f"launch:{launch_id}", hash=seen, comment=comment)


def unfinished(session: Session, name: str) -> int | None:
    """The launch of a campaign that is still under way."""
    going = select(col(Launch.id)).where(
        col(Launch.campaign) == name, col(Launch.state).in_(["approved", "running", "paused"])
    )
    return session.execute(going.order_by(col(Launch.id).desc()).limit(1)).scalar()


def reject(store: Store, launch_id: int, *, approver: str, now: datetime, comment: str = "") -> None:
    """Raises NotAllowed: it is past approving."""
    with store.write() as session:
        launch = fetch(session, launch_id)
        if launch.state != "prepared":
            raise NotAllowed(f"Launch {launch_id} is {launch.state}; only a prepared one can be rejected.")
        launch.state, launch.note = "recalled", f"rejected by {approver}"
        audit(session, now, approver, "rejected", f"launch:{launch_id}", comment=comment)


def fetch(session: Session, launch_id: int) -> Launch:
    """Locked until the transaction ends: whoever decides about a launch decides alone. Raises Unknown."""
    launch = session.get(Launch, launch_id, with_for_update=True)
    if launch is None:
        raise Unknown(f"There is no launch {launch_id}.")
    return launch
