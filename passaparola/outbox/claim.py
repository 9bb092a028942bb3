"""Claiming and recording, one transaction each: what is guarded is what is called, and nothing stands between.

reserve   choose a due batch, ask every guard again, render, write the attempt, commit
(call)    once; see passaparola/outbox/deliver.py
record    write what became of it, if the batch is still ours
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select, text, update
from sqlmodel import Session, col

from passaparola.channel.registry import sender_class, sender_names
from passaparola.channel.sender import Dispatch, OutboundMessage
from passaparola.errors import PassaparolaError
from passaparola.failpoints import failpoint
from passaparola.outbox import guards, repeats
from passaparola.outbox.batches import build_dispatch, cut_batch_wording, enrolment_of, move_messages, set_rows
from passaparola.outbox.guards import FrequencyCap, GuardContext
from passaparola.outbox.personal import MessageBuilder
from passaparola.outbox.quiet_hours import quiet_until
from passaparola.outbox.reasons import HoldReason
from passaparola.outbox.recipients import Recipient, load_post, load_recipients
from passaparola.settings import Settings
from passaparola.store import incidents
from passaparola.store.database import Store, audit
from passaparola.store.models import Attempt, Batch, Launch, Message
from passaparola.store.states import MessageState

CLAIM_LOCK = 20260418


@dataclass(frozen=True)
class ReservedBatch:
    """A batch that is ours to call once: `fence` proves it when the answer is recorded."""

    batch: int
    fence: int
    attempt: int
    launch: int
    channel: str
    dispatch: Dispatch


def reserve_batch(
    store: Store,
    settings: Settings,
    *,
    worker: str,
    now: datetime,
    launch: int | None = None,
    busy: Collection[str] = (),
) -> ReservedBatch | None:
    """Return the next due batch that has anything left to send, ready to be called; None when nothing is due.
    Channels that are `busy` are passed over."""
    while True:
        with store.write() as session:
            batch = _next_batch(session, now, launch, busy)
            if batch is None:
                return None
            failpoint("claimed")
            reserved = _Reservation(session, settings, batch, worker, now).reserve()
        if reserved is None:
            continue
        failpoint("reserved")
        return reserved


def _next_batch(session: Session, now: datetime, launch: int | None, busy: Collection[str]) -> Batch | None:
    """Return the next due batch whose channel may be called.

    Launch by launch of one priority, so that an index has the order: sorting all that waits, for each batch that
    goes, would make a campaign's cost grow with its square.
    """
    sendable = unpaused_channels(session, {*busy, *incidents.active_backoffs(session, now)})
    for launches in _launches_by_priority(session, launch):
        due = (
            select(Batch)
            .join(Launch, col(Launch.id) == col(Batch.launch_id))
            .where(
                col(Batch.state) == MessageState.QUEUED,
                col(Batch.due_at) <= now,
                col(Batch.launch_id).in_(launches),
                col(Launch.state) == "running",
                *sendable,
            )
            .order_by(col(Batch.due_at), col(Batch.id))
            .limit(1)
            .with_for_update(skip_locked=True, of=Batch)
        )
        batch: Batch | None = session.execute(due).scalar()
        if batch is not None:
            return batch
    return None


def _launches_by_priority(session: Session, launch: int | None) -> list[list[int]]:
    """Return running launches, those of the highest priority first."""
    running = select(col(Launch.id), col(Launch.priority)).where(col(Launch.state) == "running")
    levels: dict[int, list[int]] = {}
    for id_, priority in session.execute(running.where(col(Launch.id) == launch) if launch else running):
        levels.setdefault(priority, []).append(id_)
    return [levels[priority] for priority in sorted(levels, reverse=True)]


def unpaused_channels(session: Session, silent: Collection[str] = ()) -> list[Any]:
    """Build the condition that a batch's channel may be called: it is neither paused nor backing off, so it holds
    up no other channel's messages."""
    paused = [
        *silent,
        *(incident.channel for incident in incidents.open_incidents(session) if incident.direction == "sending"),
    ]
    named = {name: sender_class(name).medium for name in paused if name in sender_names()}
    carried: Any = col(Launch.content)["channels"]
    return [~and_(col(Batch.medium) == medium, carried[medium].as_string() == name) for name, medium in named.items()]


class _Reservation:
    """One batch on its way from queued to sending, inside one transaction."""

    def __init__(self, session: Session, settings: Settings, batch: Batch, worker: str, now: datetime) -> None:
        self.session, self.settings, self.batch, self.worker, self.now = session, settings, batch, worker, now
        launch = session.get(Launch, batch.launch_id)
        assert launch is not None
        assert batch.id is not None
        self.launch, self.content, self.id = launch, launch.content, batch.id
        self.public = batch.medium in self.content["public"]

    def reserve(self) -> ReservedBatch | None:
        """Reserve the batch. Return None where nothing of it is left to send. A batch that cannot be prepared
        pauses its launch and no other."""
        try:
            sender_class(self.content["channels"][self.batch.medium])
            self.ready = cut_batch_wording(self.content, self.batch)
        except (PassaparolaError, ImportError, KeyError, ValueError) as error:
            self.launch.state, self.launch.note = "paused", f"cannot be prepared: {error}"[:300]
            audit(self.session, self.now, self.worker, "paused", f"launch:{self.launch.id}", because=self.launch.note)
            return None
        if self._hold_late():
            return None
        if self.session.get_bind().dialect.name == "postgresql":
            if self.settings.frequency_cap:  # two batches of two campaigns must not both see a contact below the cap
                self.session.execute(text(f"SELECT pg_advisory_xact_lock({CLAIM_LOCK})"))
            if self.content["said_once"] and self.batch.wording:
                repeats.take_turns(self.session, self.batch)
        rows = self._pass_guards()
        failpoint("guarded")
        messages = self._render(rows)
        failpoint("rendered")
        if not messages:
            self.batch.state, self.batch.finished_at = MessageState.SENT, self.now
            return None
        return self._write_attempt(messages)

    def _hold_late(self) -> bool:
        if self.batch.late_at is None or self.now <= self.batch.late_at:
            return False
        of_this_batch = (col(Message.batch_id) == self.id, col(Message.state).is_(None))
        reason = guards.too_late(self.launch.late_after or 0)
        self.session.execute(update(Message).where(*of_this_batch).values(state=MessageState.HELD, reason=reason))
        self.batch.state, self.batch.finished_at = MessageState.SENT, self.now
        return True

    def _pass_guards(self) -> list[Recipient]:
        """Return recipients who pass all guards. Hold the rejected; defer those in quiet hours."""
        rows = self._recipients()
        held = [{"e": row.enrolment_id, "why": row.reason} for row in rows if row.reason]
        if held:
            set_rows(self.session, self.batch, MessageState.HELD, held)
        rows = [row for row in rows if not row.reason]
        if not self.settings.quiet_hours or self.public:
            return rows
        return self._defer_quiet(rows)

    def _recipients(self) -> list[Recipient]:
        """Return everything that rendering and the guards need of the batch's messages."""
        if self.public:
            again = self.content["said_once"] and repeats.post_repeat_reason(self.session, self.batch, settled=False)
            return load_post(self.session, self.id, HoldReason.ALREADY_POSTED.text() if again else None)
        return load_recipients(
            self.session,
            self.id,
            GuardContext.for_step(self.session, self.launch, self.batch.medium, self.batch.step),
            FrequencyCap.from_settings(self.settings),
            on_event="on" in self.content["enter"],
            now=self.now,
            wording=self.batch.wording,
        )

    def _defer_quiet(self, rows: list[Recipient]) -> list[Recipient]:
        ends = {
            zone: quiet_until(self.settings.quiet_hours, zone, self.now)
            for zone in {row.time_zone or self.settings.time_zone for row in rows}
        }
        for until in sorted({end for end in ends.values() if end}):
            asleep = [row.enrolment_id for row in rows if ends[row.time_zone or self.settings.time_zone] == until]
            move_messages(self.session, self.batch, asleep, due_at=until, because="quiet hours")
        return [row for row in rows if ends[row.time_zone or self.settings.time_zone] is None]

    def _render(self, rows: list[Recipient]) -> list[OutboundMessage]:
        """Render for each recipient. A contact for whom it fails is failed alone."""
        personal = MessageBuilder(self.content, self.batch, self.settings, self.ready)
        messages, failed = [], []
        for row in rows:
            try:
                messages.append(personal.build(row))
            except Exception as error:  # whatever a contact's fields make of a template, it is this contact's alone
                reason = str(error.args[0]) if error.args and isinstance(error.args[0], str) else type(error).__name__
                failed.append({"e": row.enrolment_id, "why": f"could not be rendered: {reason[:300]}"})
        if failed:
            set_rows(self.session, self.batch, MessageState.FAILED, failed)
        return messages

    def _write_attempt(self, messages: list[OutboundMessage]) -> ReservedBatch:
        channel = sender_class(self.content["channels"][self.batch.medium])
        alone = channel.unbatchable(self._build_dispatch(0, messages)) if len(messages) > 1 else set()
        together = [message for message in messages if message.id not in alone] or messages[:1]
        kept = {message.id for message in together}
        for message in messages:
            if message.id not in kept:
                move_messages(self.session, self.batch, [enrolment_of(message.id)], due_at=self.now)
        messages = together
        self.batch.state, self.batch.fence = MessageState.SENDING, self.batch.fence + 1
        self.batch.claimed_by, self.batch.claimed_at, self.batch.size = self.worker, self.now, len(messages)
        attempt = Attempt(
            batch_id=self.id, fence=self.batch.fence, channel=channel.name, size=len(messages), started_at=self.now
        )
        self.session.add(attempt)
        self.session.flush()
        assert attempt.id is not None
        audit(
            self.session,
            self.now,
            self.worker,
            "reserved",
            f"batch:{self.id}",
            attempt=attempt.id,
            messages=len(messages),
        )
        failpoint("attempt_written")
        dispatch = self._build_dispatch(attempt.id, messages)
        return ReservedBatch(self.id, self.batch.fence, attempt.id, self.batch.launch_id, channel.name, dispatch)

    def _build_dispatch(self, attempt: int, messages: list[OutboundMessage]) -> Dispatch:
        return build_dispatch(self.launch, self.batch, self.ready, attempt, messages)
