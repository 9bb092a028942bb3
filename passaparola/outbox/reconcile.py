"""The honest remainder: what may or may not have been accepted, parked until evidence decides. Never a blind resend."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlmodel import Session, col

from passaparola.channel.message_ids import MessageId
from passaparola.channel.registry import carrier_for, sender_class
from passaparola.channel.sender import Dispatch, Evidence, OutboundMessage
from passaparola.contacts.addresses import address_key
from passaparola.contacts.consent import suppress
from passaparola.errors import ChannelError, Misconfigured
from passaparola.failpoints import failpoint
from passaparola.outbox.batches import (
    build_dispatch,
    cut_batch_wording,
    enrolment_of,
    move_messages,
    set_receipts,
    set_states,
)
from passaparola.outbox.finish import finish_launches
from passaparola.settings import Settings
from passaparola.store.database import Store, audit
from passaparola.store.models import Attempt, Batch, Launch, Message
from passaparola.store.states import MessageState

GONE = "the network took it, but it is not there: see the account before it is posted again"


@dataclass
class ReconcileResult:
    """Batches given up on, and messages that evidence decided."""

    stale: int = 0
    accepted: int = 0
    absent: int = 0
    gone: int = 0
    still_unknown: int = 0


def quarantine_of(channel: str) -> timedelta:
    """Return how long a call may still be running: twice the channel's time-out, and the margin of the call's own
    deadline."""
    return timedelta(seconds=2 * sender_class(channel).timeout + 10)


async def reconcile(store: Store, now: datetime) -> ReconcileResult:
    result = ReconcileResult(stale=await asyncio.to_thread(_give_up, store, now))
    for batch_id in await asyncio.to_thread(_unknown_batches, store, now):
        attempted = await asyncio.to_thread(_load_attempt, store, batch_id)
        if attempted is None:
            continue
        attempt, dispatch, receipts = attempted
        evidence = await _look_up(attempt.channel, dispatch, receipts)
        failpoint("reconciled")
        await asyncio.to_thread(_apply_evidence, store, batch_id, attempt, dispatch, evidence, now, result)
    await asyncio.to_thread(finish_launches, store, now)
    return result


async def _look_up(name: str, dispatch: Dispatch, receipts: Mapping[str, str]) -> Evidence:
    """Look an attempt up at its channel. An error proves nothing, and stops no other look-up."""
    channel = None
    try:
        channel = sender_class(name)()
        if not receipts:
            return await channel.look_up(dispatch)
        there = {id_: await channel.read_back(receipt) for id_, receipt in receipts.items()}
        return Evidence(
            {id_: receipts[id_] for id_, visible in there.items() if visible is not False},
            gone=frozenset(id_ for id_, visible in there.items() if visible is False),
        )
    except Exception:
        return Evidence()
    finally:
        if channel:
            await channel.close()


def _give_up(store: Store, now: datetime) -> int:
    """Mark as unknown the batches that have been sending for longer than their quarantine: their workers are gone."""
    given_up = 0
    with store.write() as session:
        chosen = select(Batch, Attempt).join(
            Attempt, (col(Attempt.batch_id) == col(Batch.id)) & (col(Attempt.fence) == col(Batch.fence))
        )
        sending = chosen.where(col(Batch.state) == MessageState.SENDING).with_for_update(of=Batch, skip_locked=True)
        for batch, attempt in session.execute(sending):
            if attempt.started_at + quarantine_of(attempt.channel) <= now:
                batch.state, batch.finished_at = MessageState.UNKNOWN, now
                attempt.outcome, attempt.finished_at = "unknown", now
                attempt.detail = "the worker ended before it could record an answer"
                audit(session, now, "reconcile", "unknown", f"batch:{batch.id}", attempt=attempt.id)
                given_up += 1
    return given_up


def _unknown_batches(store: Store, now: datetime) -> list[int]:
    """Return batches that have been unknown for a quarantine of their own: should the clock have jumped, the call
    may still be on its way, and a look-up would prove nothing."""
    with store.read() as session:
        alone = select(col(Message.batch_id)).where(col(Message.state) == MessageState.UNKNOWN)
        doubted = func.coalesce(col(Attempt.finished_at), col(Attempt.started_at))
        chosen = select(col(Batch.id), col(Attempt.channel), doubted).join(
            Attempt, (col(Attempt.batch_id) == col(Batch.id)) & (col(Attempt.fence) == col(Batch.fence))
        )
        rows = session.execute(chosen.where(or_(col(Batch.state) == MessageState.UNKNOWN, col(Batch.id).in_(alone))))
        return [id_ for id_, channel, at in rows if id_ is not None and at + quarantine_of(channel) <= now]


def _load_attempt(store: Store, batch_id: int) -> tuple[Attempt, Dispatch, dict[str, str]] | None:
    """Return a batch's unknown attempt, what it carried, and the receipts of posts that were accepted and not seen."""
    with store.read() as session:
        batch = session.get(Batch, batch_id)
        assert batch is not None
        launch = session.get(Launch, batch.launch_id)
        assert launch is not None
        if (
            batch.medium not in launch.content["public"]
            and sender_class(launch.content["channels"][batch.medium]).public
        ):
            return None  # an answer under a post or in private: a network's own page of posts says nothing of it
        attempt = session.execute(
            select(Attempt).where(col(Attempt.batch_id) == batch_id, col(Attempt.fence) == batch.fence)
        ).scalar_one()
        ready = cut_batch_wording(launch.content, batch)
        ids = _unknown_messages(session, batch)
        messages = [OutboundMessage(str(MessageId(id_, batch.step, batch.medium)), "", "", (), {}) for id_ in ids]
        if not messages:
            return None
        given = select(col(Message.enrolment_id), col(Message.receipt)).where(
            col(Message.batch_id) == batch.id, col(Message.enrolment_id).in_(ids), col(Message.receipt).is_not(None)
        )
        receipts = {
            str(MessageId(id_, batch.step, batch.medium)): str(receipt) for id_, receipt in session.execute(given)
        }
        return attempt, build_dispatch(launch, batch, ready, attempt.id or 0, messages), receipts


def _unknown_messages(session: Session, batch: Batch) -> list[int]:
    parked = col(Message.state) == MessageState.UNKNOWN
    if batch.state == MessageState.UNKNOWN:
        parked = or_(parked, col(Message.state).is_(None))
    return list(
        session.execute(select(col(Message.enrolment_id)).where(col(Message.batch_id) == batch.id, parked)).scalars()
    )


def _apply_evidence(
    store: Store,
    batch_id: int,
    attempt: Attempt,
    dispatch: Dispatch,
    evidence: Evidence,
    now: datetime,
    result: ReconcileResult,
) -> None:
    message_ids = {message.id for message in dispatch.messages}
    with store.write() as session:
        batch = session.execute(select(Batch).where(col(Batch.id) == batch_id).with_for_update()).scalar_one()
        # Between question and answer another reconciliation, or the worker itself, may have decided.
        still = {str(MessageId(id_, batch.step, batch.medium)) for id_ in _unknown_messages(session, batch)}
        still = still if batch.fence == attempt.fence else set()
        accepted = {id_: receipt for id_, receipt in evidence.accepted.items() if id_ in still & message_ids}
        absent = sorted((evidence.absent & message_ids & still) - accepted.keys())
        gone = evidence.gone & message_ids & still
        set_states(session, batch, MessageState.FAILED, dict.fromkeys(gone, GONE))
        set_states(session, batch, MessageState.SENT, dict.fromkeys(accepted, ""))
        set_receipts(session, batch, accepted)
        if absent:
            move_messages(session, batch, [enrolment_of(id_) for id_ in absent], due_at=now)
            _reopen(session, batch)
        if accepted or absent or gone:
            audit(
                session,
                now,
                "reconcile",
                "resolved",
                f"batch:{batch_id}",
                attempt=attempt.id,
                accepted=len(accepted),
                absent=len(absent),
                gone=len(gone),
            )
    result.accepted += len(accepted)
    result.absent += len(absent)
    result.gone += len(gone)
    result.still_unknown += len(still & message_ids) - len(accepted) - len(absent) - len(gone)


def _reopen(session: Session, batch: Batch) -> None:
    launch = session.get(Launch, batch.launch_id)
    if launch and launch.state == "finished":
        launch.state, launch.finished_at = "running", None


async def sync_suppressions(store: Store, settings: Settings, now: datetime) -> int:
    """Suppress the addresses that the email provider has stopped writing to on its side."""
    try:
        channel = carrier_for("email", settings)()
    except Misconfigured:
        return 0
    try:
        suppressions = await channel.suppressions(now - timedelta(days=7))
    except ChannelError:
        return 0
    finally:
        await channel.close()
    return await asyncio.to_thread(_suppress, store, settings, channel.name, suppressions, now)


def _suppress(store: Store, settings: Settings, source: str, suppressions: list[tuple[str, str]], now: datetime) -> int:
    with store.write() as session:
        return sum(
            suppress(
                session, "email", address_key(settings.secret, "email", address.lower()), reason, at=now, source=source
            )
            for address, reason in suppressions
        )
