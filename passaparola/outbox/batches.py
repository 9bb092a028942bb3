"""What is done to a batch's messages: cut off into another batch, given a state of their own, made into a dispatch."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlmodel import Session, col

from passaparola.channel.sender import Dispatch, FromIdentity, OutboundMessage
from passaparola.outbox.render.frozen import CutWording, FrozenWording, cut_wording, launch_constants, wording_key
from passaparola.store.bulk import table_of
from passaparola.store.models import Batch, Launch, Message

MESSAGE = table_of(Message)


def cut_batch_wording(content: Mapping[str, Any], batch: Batch) -> CutWording:
    message = content["steps"][batch.step]["say"]
    wordings = content["messages"][wording_key(message, batch.variant, batch.medium)]
    wording = FrozenWording.model_validate(wordings[batch.locale])
    return cut_wording(wording, batch.locale, launch_constants(content))


def build_dispatch(
    launch: Launch, batch: Batch, ready_: CutWording, attempt: int, messages: Sequence[OutboundMessage]
) -> Dispatch:
    content = launch.content
    sender = FromIdentity(content["sender"]["name"], content["sender"]["email"], content["sender"]["reply_to"])
    return Dispatch(
        attempt, batch.medium, content["campaign"], ready_.skeleton, sender, launch.created_at, tuple(messages)
    )


def move_messages(
    session: Session, batch: Batch, enrolments: Sequence[int], *, due_at: datetime, tries: int = 0, because: str = ""
) -> None:
    """Move some of a batch's messages into a batch of their own; those that were moved meanwhile stay where they
    are."""
    # Two workers that split batches of one launch must not give two batches one number.
    session.execute(select(col(Launch.id)).where(col(Launch.id) == batch.launch_id).with_for_update())
    same = [col(getattr(Batch, name)) == getattr(batch, name) for name in ("launch_id", "step", "medium")]
    number = session.execute(select(func.max(col(Batch.number)) + 1).where(*same)).scalar_one()
    new = Batch(
        launch_id=batch.launch_id,
        step=batch.step,
        medium=batch.medium,
        locale=batch.locale,
        variant=batch.variant,
        wording=batch.wording,
        number=number,
        size=len(enrolments),
        due_at=due_at,
        late_at=batch.late_at,
        tries=tries,
        delayed=because or batch.delayed,
    )
    session.add(new)
    session.flush()
    change = update(MESSAGE).where(*_is_of_batch(batch)).values(batch_id=new.id, state=None, reason=None)
    session.connection().execute(change, [{"e": enrolment} for enrolment in enrolments])


def set_rows(session: Session, batch: Batch, state: str, rows: list[dict[str, Any]]) -> None:
    """Set a state on rows. `rows` hold the enrolment as `e` and the reason as `why`."""
    change = update(MESSAGE).where(*_is_of_batch(batch)).values(state=state, reason=bindparam("why"))
    session.connection().execute(change, rows)


def set_states(session: Session, batch: Batch, state: str, reasons: Mapping[str, str]) -> None:
    """Set a state on messages, `reasons` by message id."""
    if reasons:
        set_rows(session, batch, state, [{"e": enrolment_of(id_), "why": why[:500]} for id_, why in reasons.items()])


def set_receipts(session: Session, batch: Batch, receipts: Mapping[str, str]) -> None:
    if receipts:
        change = update(MESSAGE).where(*_is_of_batch(batch)).values(receipt=bindparam("its"))
        rows = [{"e": enrolment_of(id_), "its": receipt} for id_, receipt in receipts.items()]
        session.connection().execute(change, rows)


def _is_of_batch(batch: Batch) -> tuple[Any, ...]:
    """Match a message by its enrolment, `e`, as long as it is still in this batch."""
    key = (MESSAGE.c.enrolment_id == bindparam("e"), MESSAGE.c.step == batch.step, MESSAGE.c.medium == batch.medium)
    return (*key, MESSAGE.c.batch_id == batch.id)


def enrolment_of(id_: str) -> int:
    return int(id_.partition("-")[0])
