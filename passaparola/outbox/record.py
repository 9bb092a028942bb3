"""Writing down what became of a reserved batch, if it is still ours."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlmodel import Session, col

from passaparola.channel.sender import SendResult
from passaparola.errors import Blocked, ChannelError, Refused, Slower, TooLarge, Unavailable, Uncertain
from passaparola.failpoints import failpoint
from passaparola.outbox.batches import enrolment_of, move_messages, set_receipts, set_states
from passaparola.outbox.claim import ReservedBatch
from passaparola.store import incidents
from passaparola.store.database import Store, audit
from passaparola.store.models import Attempt, Batch
from passaparola.store.states import MessageState

MAX_BACKOFF_SECONDS = 600.0
MAX_TRIES = 10  # of a message that the provider puts off, over about a day


def record_outcome(store: Store, reserved: ReservedBatch, outcome: SendResult | ChannelError, now: datetime) -> str:
    """Write what became of a reserved batch. A worker whose batch was given up meanwhile writes it to the attempt
    only."""
    with store.write() as session:
        batch = session.execute(select(Batch).where(col(Batch.id) == reserved.batch).with_for_update()).scalar_one()
        attempt = session.get(Attempt, reserved.attempt)
        assert attempt is not None
        if attempt.outcome == _outcome_detail(outcome) and batch.fence == reserved.fence:
            return attempt.outcome  # the commit was ours, and only its answer was lost
        attempt.finished_at, attempt.detail = now, str(outcome)[:500] if isinstance(outcome, ChannelError) else ""
        is_ours = batch.fence == reserved.fence and batch.state in (MessageState.SENDING, MessageState.UNKNOWN)
        attempt.outcome = (
            _Recording(session, reserved, batch, now).write(outcome) if is_ours else f"late: {_outcome_detail(outcome)}"
        )
        audit(
            session,
            now,
            batch.claimed_by,
            attempt.outcome,
            f"batch:{batch.id}",
            attempt=attempt.id,
        )
        failpoint("recorded")
        return attempt.outcome


def _outcome_detail(outcome: SendResult | ChannelError) -> str:
    return {Refused: "refused", TooLarge: "refused", Uncertain: "unknown", SendResult: "accepted"}.get(
        type(outcome), "unavailable"
    )


class _Recording:
    """Records what each kind of outcome means for a batch and its messages."""

    def __init__(self, session: Session, reserved: ReservedBatch, batch: Batch, now: datetime) -> None:
        self.session, self.reserved, self.batch, self.now = session, reserved, batch, now
        self.ids = [message.id for message in reserved.dispatch.messages]

    def write(self, outcome: SendResult | ChannelError) -> str:
        match outcome:
            case SendResult():
                self._record_result(outcome)
            case Refused(messages=named) if named:
                set_states(self.session, self.batch, MessageState.FAILED, named)
                self._requeue(0)
            case Refused() | TooLarge():
                self._halve(str(outcome))
            case Unavailable(after=after):
                wait = max(after, self._backoff()) if after else 0
                self._requeue(wait)
                if isinstance(outcome, Slower):
                    incidents.back_off(self.session, self.reserved.channel, self.now + timedelta(seconds=wait))
            case Blocked():
                self._requeue(0)
                incidents.open_incident(self.session, self.reserved.channel, "sending", str(outcome), self.now)
            case _:
                self.batch.state, self.batch.finished_at = MessageState.UNKNOWN, self.now
        return _outcome_detail(outcome)

    def _record_result(self, result: SendResult) -> None:
        attempt = self.session.get(Attempt, self.reserved.attempt)
        assert attempt is not None
        attempt.receipt = result.receipt or None
        set_states(self.session, self.batch, MessageState.FAILED, result.refused)
        set_states(self.session, self.batch, MessageState.UNKNOWN, result.uncertain)
        set_receipts(self.session, self.batch, result.receipts)
        if self.batch.tries >= MAX_TRIES:
            put_off = {id_: f"put off {MAX_TRIES} times: {why}" for id_, why in result.deferred.items()}
            set_states(self.session, self.batch, MessageState.FAILED, put_off)
        elif result.deferred:
            due = self.now + timedelta(seconds=min(60.0 * 2**self.batch.tries, 4 * 3600))
            waiting = [enrolment_of(id_) for id_ in result.deferred]
            move_messages(self.session, self.batch, waiting, due_at=due, tries=self.batch.tries + 1)
        self.batch.state, self.batch.finished_at = MessageState.SENT, self.now

    def _requeue(self, after: float) -> None:
        self.batch.state, self.batch.due_at = MessageState.QUEUED, self.now + timedelta(seconds=after)

    def _backoff(self) -> float:
        """Compute the pause in seconds, doubling from two: 2, 4, 8 … up to ten minutes."""
        tried = self.session.execute(
            select(func.count()).where(col(Attempt.batch_id) == self.batch.id, col(Attempt.outcome) == "unavailable")
        ).scalar_one()
        return float(min(2.0 ** min(tried + 1, 10), MAX_BACKOFF_SECONDS))

    def _halve(self, reason: str) -> None:
        """Split a batch that was refused as a whole with nobody named: smaller requests find out who it is."""
        if len(self.ids) == 1:
            set_states(self.session, self.batch, MessageState.FAILED, {self.ids[0]: reason})
            self.batch.state, self.batch.finished_at = MessageState.SENT, self.now
            return
        second = self.ids[len(self.ids) // 2 :]
        move_messages(self.session, self.batch, [enrolment_of(id_) for id_ in second], due_at=self.now)
        self._requeue(0)
