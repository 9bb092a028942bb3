"""What is done to a batch's messages: cut off into another batch, given a state of their own, made into a dispatch."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlmodel import Session, col

from channels.base import Dispatch, Outgoing, Sender
from contacts.models import Batch, Launch, Message
from outbox.render.frozen import Frozen, Ready, constants, ready


def prepared(content: Mapping[str, Any], batch: Batch) -> Ready:
    said = content["steps"][batch.step]["say"]
    wording = Frozen.model_validate(content["messages"][f"{said}/{batch.medium}"][batch.locale])
    return ready(wording, batch.locale, constants(content))


def dispatch_of(launch: Launch, batch: Batch, ready_: Ready, attempt: int, messages: Sequence[Outgoing]) -> Dispatch:
    content = launch.content
    sender = Sender(content["sender"]["name"], content["sender"]["email"], content["sender"]["reply_to"])
    return Dispatch(
        attempt, batch.medium, content["campaign"], ready_.skeleton, sender, launch.created_at, tuple(messages)
    )


def move(session: Session, batch: Batch, enrolments: Sequence[int], *, due_at: datetime) -> None:
    """Some of a batch's messages into a batch of their own."""
    same = [col(getattr(Batch, name)) == getattr(batch, name) for name in ("launch_id", "step", "medium", "locale")]
    number = session.execute(select(func.max(col(Batch.number)) + 1).where(*same)).scalar_one()
    new = Batch(
        launch_id=batch.launch_id, step=batch.step, medium=batch.medium, locale=batch.locale, number=number,
        size=len(enrolments), due_at=due_at,
    )  # fmt: skip
    session.add(new)
    session.flush()
    table = Message.__table__  # type: ignore[attr-defined]
    moved = (
        update(table)
        .where(table.c.enrolment_id == bindparam("e"), table.c.step == batch.step, table.c.medium == batch.medium)
        .values(batch_id=new.id, state=None, reason=None)
    )
    session.connection().execute(moved, [{"e": enrolment} for enrolment in enrolments])


def set_rows(session: Session, batch: Batch, state: str, rows: list[dict[str, Any]]) -> None:
    """`rows` hold the enrolment as `e` and the reason as `why`."""
    table = Message.__table__  # type: ignore[attr-defined]
    change = (
        update(table)
        .where(table.c.enrolment_id == bindparam("e"), table.c.step == batch.step, table.c.medium == batch.medium)
        .values(state=state, reason=bindparam("why"))
    )
    session.connection().execute(change, rows)


def set_states(session: Session, batch: Batch, state: str, reasons: Mapping[str, str]) -> None:
    """`reasons` by message id."""
    if reasons:
        set_rows(session, batch, state, [{"e": enrolment_of(id_), "why": why[:500]} for id_, why in reasons.items()])


def set_receipts(session: Session, batch: Batch, receipts: Mapping[str, str]) -> None:
    table = Message.__table__  # type: ignore[attr-defined]
    change = (
        update(table)
        .where(table.c.enrolment_id == bindparam("e"), table.c.step == batch.step, table.c.medium == batch.medium)
        .values(receipt=bindparam("its"))
    )
    if receipts:
        rows = [{"e": enrolment_of(id_), "its": receipt} for id_, receipt in receipts.items()]
        session.connection().execute(change, rows)


def enrolment_of(id_: str) -> int:
    return int(id_.partition("-")[0])
