"""Write down what a rehearsal's launches did since the last time it was looked."""

from collections import Counter
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlmodel import Session, col

from passaparola.channel.registry import sender_for
from passaparola.outbox.batches import cut_batch_wording
from passaparola.rehearsal.result import PlannedMessage, Rehearsal, TimelineLine
from passaparola.settings import Settings
from passaparola.store.models import Batch, Enrolment, Launch, Message, message_state, select_messages
from passaparola.store.states import MessageState


class Progress:
    """What launch `first` and those that follow it did: in numbers, and one by one for the contacts in `shown`."""

    def __init__(self, seen: Rehearsal, first: Launch, shown: dict[int, tuple[str, str]]) -> None:
        self.seen, self.first, self.content, self.shown = seen, first.id or 0, first.content, shown
        self.counted: Counter[tuple[int, str, str, str, str]] = Counter()
        self.recorded: set[tuple[int, int, str]] = set()

    def record(self, session: Session, now: datetime) -> None:
        """Record what is new at `now`."""
        self._record_counts(session, now)
        self._record_shown(session, now)

    def _record_counts(self, session: Session, now: datetime) -> None:
        key = (col(Launch.id), col(Message.step), col(Message.medium), message_state(), col(Message.reason))
        counted = _messages_of(self, *key[:4], func.coalesce(col(Message.reason), ""), func.count()).group_by(*key)
        for launch, step, medium, state, reason, count in session.execute(counted):
            group = (launch, step, medium, state, reason)
            if state != MessageState.QUEUED and count > self.counted[group]:
                message, more = self.content["steps"][step]["say"], count - self.counted[group]
                self.seen.lines.append(TimelineLine(now, message, medium, state, reason, more))
                self.counted[group] = count

    def _record_shown(self, session: Session, now: datetime) -> None:
        chosen = (
            col(Message.enrolment_id),
            col(Message.step),
            col(Message.medium),
            col(Enrolment.contact_id),
            message_state(),
            func.coalesce(col(Message.reason), ""),
        )
        of_shown = _messages_of(self, *chosen).where(col(Enrolment.contact_id).in_(self.shown))
        for enrolment, step, medium, contact, state, reason in session.execute(
            of_shown.order_by(col(Message.enrolment_id), col(Message.step))
        ):
            if state != MessageState.QUEUED and (enrolment, step, medium) not in self.recorded:
                self.recorded.add((enrolment, step, medium))
                name, zone = self.shown[contact]
                message, local = self.content["steps"][step]["say"], now.astimezone(ZoneInfo(zone))
                self.seen.moments.append(PlannedMessage(name, local, message, medium, state, reason))

    def sum_up(self, session: Session, settings: Settings) -> None:
        """Count the people by their outcome, and what was sent by its price."""
        by = (col(Enrolment.outcome), col(Enrolment.holdout))
        people = select(*by, func.count()).join(Launch, col(Launch.id) == col(Enrolment.launch_id)).group_by(*by)
        for outcome, holdout, count in session.execute(
            people.where(*self.own_launches(), col(Enrolment.contact_id).is_not(None))
        ):
            self.seen.people += count
            self.seen.outcomes["held out" if holdout else outcome or "under way"] += count
        sent = (
            select(Batch, func.count())
            .join(Launch, col(Launch.id) == col(Batch.launch_id))
            .join(Message, and_(col(Message.batch_id) == col(Batch.id), col(Message.state).is_(None)))
            .where(*self.own_launches(), col(Batch.state) == MessageState.SENT)
            .group_by(col(Batch.id))
        )
        for batch, count in session.execute(sent):
            skeleton = cut_batch_wording(self.content, batch).skeleton
            self.seen.costs.add(settings, batch.medium, sender_for(batch.medium, settings), skeleton, count)

    def own_launches(self) -> tuple[ColumnElement[bool], ...]:
        return (col(Launch.id) >= self.first, col(Launch.campaign) == self.seen.campaign)


def _messages_of(progress: Progress, *chosen: Any) -> Select[Any]:
    return (
        select_messages(*chosen)
        .join(Launch, col(Launch.id) == col(Enrolment.launch_id))
        .where(*progress.own_launches())
    )
