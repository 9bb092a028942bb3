"""The same words from two launches: nobody is told twice, and of two that are sent at once one speaks."""

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import ColumnElement, String, and_, bindparam, false, func, literal, or_, select, text
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from passaparola.outbox.reasons import HoldReason
from passaparola.store.models import Batch, Contact, Enrolment, Launch, Message, select_messages
from passaparola.store.states import MessageState

LAST_LAUNCH = 2**62  # the number of a launch that is not there yet: all others are earlier
REPEATS_LOCK_ID = 20261127

Which = Callable[[Any, Any], ColumnElement[bool]]


def have_repeats(session: Session, reads: Collection[str], itself: int) -> bool:
    """Return whether another launch says, or said, any of these very words."""
    other = select(literal(1)).where(col(Batch.wording).in_(list(reads)), col(Batch.launch_id) != itself)
    return bool(reads) and session.execute(other.limit(1)).scalar() is not None


def take_turns(session: Session, batch: Batch) -> None:
    """Lock a wording, so that two batches of the same words by two launches are not decided side by side. For
    PostgreSQL; SQLite has one writer.

    A launch that sees no other with these words shares the lock; one that sees another waits until that is done.
    """
    lock = (
        "pg_advisory_xact_lock"
        if have_repeats(session, [batch.wording], batch.launch_id)
        else "pg_advisory_xact_lock_shared"
    )
    session.execute(text(f"SELECT {lock}({REPEATS_LOCK_ID}, hashtext(:wording))"), {"wording": batch.wording})


def repeat_reasons(
    medium: str, launch: int, wording: ColumnElement[str] | None, *, settled: bool
) -> list[tuple[Any, Any]]:
    """Return the guards' two reasons, each with its condition on a contact. Without `wording` its hash is a
    parameter called `read`."""
    same = bindparam("read", type_=String()) if wording is None else wording
    sent = (_to_them(medium, same, _delivered_elsewhere(launch)), literal(HoldReason.ALREADY_SENT.text()))
    pending = (_to_them(medium, same, _pending_elsewhere(launch)), literal(HoldReason.ALREADY_PENDING.text()))
    return [sent] if settled else [sent, pending]


def post_repeat_reason(session: Session, batch: Batch, *, settled: bool) -> bool:
    """Return whether the public has these very words from another launch, or gets them from an earlier one."""
    launch = batch.launch_id
    ready = false() if settled else _pending_elsewhere(launch)(Message, Batch)
    repeats = select_messages(col(Message.enrolment_id)).where(
        col(Batch.wording) == batch.wording,
        col(Enrolment.contact_id).is_(None),
        col(Message.medium) == batch.medium,
        or_(_delivered_elsewhere(launch)(Message, Batch), ready),
    )
    return bool(batch.wording) and session.execute(repeats.limit(1)).scalar() is not None


def _delivered_elsewhere(launch: int) -> Which:
    """Match messages that went out, are going out or may have gone out by another launch."""

    def which(message: Any, batch: Any) -> ColumnElement[bool]:
        out: ColumnElement[bool] = func.coalesce(message.state, batch.state).in_(
            [MessageState.SENDING, MessageState.SENT, MessageState.UNKNOWN]
        )
        return and_(batch.launch_id != launch, out)

    return which


def _pending_elsewhere(launch: int) -> Which:
    """Match messages that an earlier running launch has queued. Of two that are sent at once the earlier one
    speaks, or each would hold the other; one that is paused keeps nobody waiting."""
    earlier = select(col(Launch.id)).where(col(Launch.state) == "running", col(Launch.id) < launch)

    def which(message: Any, batch: Any) -> ColumnElement[bool]:
        return and_(batch.launch_id.in_(earlier), func.coalesce(message.state, batch.state) == MessageState.QUEUED)

    return which


def _to_them(medium: str, wording: ColumnElement[str], which: Which) -> ColumnElement[bool]:
    """Match such messages to the contact, whichever launch or audience they are of."""
    other: Any = aliased(Enrolment)
    message: Any = aliased(Message)
    batch: Any = aliased(Batch)
    return (
        select(literal(1))
        .select_from(other)
        .join(message, message.enrolment_id == other.id)
        .join(batch, batch.id == message.batch_id)
        .where(
            other.contact_id == col(Contact.id),
            message.medium == medium,
            batch.wording == wording,
            batch.wording != "",
            which(message, batch),
        )
        .correlate(Contact)
        .exists()
    )
