"""From an approved launch to an outbox: one INSERT … SELECT per step and medium, cut into batches on the way."""

import math
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Select, case, cast, delete, func, insert, literal, null, select, update
from sqlmodel import Session, col

from channels import get
from contacts.models import Address, Approval, Batch, Contact, Enrolment, Launch, Message, message_state
from contacts.store import Store, audit
from errors import NotAllowed, Unknown
from failpoints import failpoint
from outbox import guards
from outbox.guards import Asked, Cap
from settings import Settings


def release(store: Store, settings: Settings, launch_id: int, *, actor: str, now: datetime) -> None:
    """Plan every message of an approved launch. Raises NotAllowed: no approval of this hash, or it has expired."""
    with store.write() as session:
        launch = session.get(Launch, launch_id, with_for_update=True)
        if launch is None:
            raise Unknown(f"There is no launch {launch_id}.")
        if launch.state != "approved":
            raise NotAllowed(f"Launch {launch_id} is {launch.state}; it must be approved to start.")
        approval = session.execute(
            select(Approval).where(col(Approval.launch_id) == launch_id, col(Approval.hash) == launch.hash)
        ).scalar()
        if approval is None or approval.expires_at < now:
            launch.state, launch.note = "recalled", "its approval expired"
            session.commit()
            raise NotAllowed(f"The approval of launch {launch_id} has expired. Send “{launch.campaign}” again.")
        for number, step in enumerate(launch.content["steps"]):
            for medium in step["by"]:
                _plan(session, settings, launch, number, step["say"], medium, now)
        failpoint("planned")
        launch.state, launch.started_at = "running", now
        audit(session, now, actor, "released", f"launch:{launch_id}", hash=launch.hash)


def _plan(
    session: Session, settings: Settings, launch: Launch, step: int, say: str, medium: str, now: datetime
) -> None:
    content = launch.content
    locales = sorted(content["messages"][f"{say}/{medium}"])
    if medium in content["public"]:
        _plan_post(session, launch, step, medium, content["locale"] if content["locale"] in locales else locales[0])
        return
    size = get(content["channels"][medium]).batch
    spoken = _spoken(locales, settings.locale)
    _cut(session, launch, step, medium, spoken, size)
    asked = Asked.of(session, launch.wording, launch.content["topic"], medium, launch.id)
    who = _who(launch, asked, spoken, Cap.of(settings), now).cte("who")
    place = func.row_number().over(partition_by=(who.c.reason.is_(None), who.c.locale), order_by=who.c.enrolment_id) - 1
    ranked = select(who, place.label("place")).cte("ranked")
    planned = (
        select(
            ranked.c.enrolment_id,
            literal(step),
            literal(medium),
            case((ranked.c.reason.is_(None), col(Batch.id)), else_=null()),
            case((ranked.c.reason.is_not(None), literal("held")), else_=null()),
            ranked.c.reason,
        )
        .outerjoin(
            Batch,
            (col(Batch.launch_id) == launch.id)
            & (col(Batch.step) == step)
            & (col(Batch.medium) == medium)
            & (col(Batch.locale) == ranked.c.locale)
            & (col(Batch.number) == cast(func.floor(ranked.c.place / size), Integer)),
        )
        .order_by(ranked.c.enrolment_id)
    )
    columns = ["enrolment_id", "step", "medium", "batch_id", "state", "reason"]
    session.execute(insert(Message).from_select(columns, planned))
    _measure(session, launch, step, medium)


def _plan_post(session: Session, launch: Launch, step: int, medium: str, locale: str) -> None:
    own = session.execute(
        select(col(Enrolment.id)).where(col(Enrolment.launch_id) == launch.id, col(Enrolment.contact_id).is_(None))
    ).scalar_one()
    batch = _batch(launch, step, medium, locale, 0, 1)
    session.add(batch)
    session.flush()
    twins = Asked.of(session, launch.wording, launch.content["topic"], medium, launch.id).twins
    posted = (
        select(col(Message.enrolment_id))
        .join(Enrolment, col(Enrolment.id) == col(Message.enrolment_id))
        .join(Batch, col(Batch.id) == col(Message.batch_id))
        .where(col(Enrolment.launch_id).in_(twins), col(Enrolment.contact_id).is_(None), col(Message.medium) == medium)
        .where(message_state().in_(["queued", "sending", "sent", "unknown"]))
    )
    twice = session.execute(posted.limit(1)).scalar() is not None
    message = Message(enrolment_id=own, step=step, medium=medium, batch_id=batch.id)
    if twice:
        message.state, message.reason = "held", "already posted this very text"
    session.add(message)


def _spoken(locales: list[str], house: str) -> Any:
    """The locale in which a contact is written to: their own where there is a wording in it."""
    default = house if house in locales else locales[0]
    return case((col(Contact.language).in_(locales), col(Contact.language)), else_=literal(default))


def _who(launch: Launch, asked: Asked, spoken: Any, cap: Cap | None, now: datetime) -> Select[Any]:
    return (
        select(
            col(Enrolment.id).label("enrolment_id"),
            spoken.label("locale"),
            guards.reason(asked, cap, now).label("reason"),
        )
        .join(Contact, col(Contact.id) == col(Enrolment.contact_id))
        .outerjoin(Address, guards.reachable(asked.medium))
        .where(col(Enrolment.launch_id) == launch.id)
    )


def _cut(session: Session, launch: Launch, step: int, medium: str, spoken: Any, size: int) -> None:
    """As many batches per locale as its whole audience could need; those that stay empty go again."""
    counts = session.execute(
        select(spoken, func.count())
        .select_from(Enrolment)
        .join(Contact, col(Contact.id) == col(Enrolment.contact_id))
        .where(col(Enrolment.launch_id) == launch.id)
        .group_by(spoken)
    )
    rows = [
        _batch(launch, step, medium, locale, number, 0).model_dump(exclude={"id"})
        for locale, count in counts
        for number in range(math.ceil(count / size))
    ]
    if rows:
        session.execute(insert(Batch), rows)


def _batch(launch: Launch, step: int, medium: str, locale: str, number: int, size: int) -> Batch:
    assert launch.id is not None
    return Batch(
        launch_id=launch.id, step=step, medium=medium, locale=locale, number=number, size=size, due_at=launch.due_at
    )  # fmt: skip


def _measure(session: Session, launch: Launch, step: int, medium: str) -> None:
    mine = (col(Batch.launch_id) == launch.id, col(Batch.step) == step, col(Batch.medium) == medium)
    counted = select(func.count()).where(col(Message.batch_id) == col(Batch.id)).correlate(Batch).scalar_subquery()
    session.execute(update(Batch).where(*mine).values(size=counted), execution_options={"synchronize_session": False})
    session.execute(delete(Batch).where(*mine, col(Batch.size) == 0), execution_options={"synchronize_session": False})


def release_approved(store: Store, settings: Settings, *, actor: str, now: datetime) -> None:
    """Launches that were approved when whoever should have released them died."""
    with store.read() as session:
        waiting = list(session.execute(select(col(Launch.id)).where(col(Launch.state) == "approved")).scalars())
    for launch_id in waiting:
        with suppress(NotAllowed):  # another worker was faster, or the approval has expired and says so
            release(store, settings, launch_id or 0, actor=actor, now=now)
