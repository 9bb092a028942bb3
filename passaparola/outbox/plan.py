"""From people who are due to an outbox: one INSERT … SELECT per step and medium, cut into batches on the way."""

import math
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    Select,
    and_,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlmodel import Session, col

from passaparola.channel.registry import sender_class
from passaparola.contacts.audience.compile import Clause
from passaparola.outbox import guards, repeats
from passaparola.outbox.guards import FrequencyCap, GuardContext
from passaparola.outbox.reasons import HoldReason
from passaparola.outbox.wordings import StepWordings
from passaparola.settings import Settings
from passaparola.store.bulk import execute_update
from passaparola.store.models import Address, Batch, Contact, Enrolment, Launch, Message
from passaparola.store.states import MessageState
from passaparola.store.types import UtcDateTime, add_seconds


def plan_messages(
    session: Session, settings: Settings, launch: Launch, step: int, who: Clause, *, not_before: datetime, now: datetime
) -> None:
    """Plan a step's messages for the enrolments that `who` chooses; those held out are never written to."""
    say_step = launch.content["steps"][step]
    for medium in say_step["by"]:
        _MessagePlanner(session, settings, launch, step, medium, who, not_before, now).plan()


class _MessagePlanner:
    """One step on one medium."""

    def __init__(  # noqa: PLR0913  what one step says on one medium, to whom and when
        self,
        session: Session,
        settings: Settings,
        launch: Launch,
        step: int,
        medium: str,
        who: Clause,
        not_before: datetime,
        now: datetime,
    ) -> None:
        self.session, self.settings, self.launch, self.step, self.medium = session, settings, launch, step, medium
        self.who = and_(who, col(Enrolment.contact_id).is_not(None), ~col(Enrolment.holdout))
        self.everyone, self.not_before, self.now = who, not_before, now
        self.content = launch.content
        self.say = self.content["steps"][step]
        self.wordings = StepWordings.for_medium(self.content, self.say, medium)

    def plan(self) -> None:
        if self.medium in self.content["public"]:
            self._plan_post()
            return
        spoken, variant = self.wordings.locale_column(), self.wordings.variant_column()
        self.first = self._next_number()
        size = sender_class(self.content["channels"][self.medium]).batch_size
        if not self._create_batches(spoken, variant, size):
            return
        context, cap = (
            GuardContext.for_step(self.session, self.launch, self.medium, self.step),
            FrequencyCap.from_settings(self.settings),
        )
        # Materialized: otherwise PostgreSQL asks every guard again wherever the reason is named.
        who = self._guarded_people(context, cap, spoken, variant).cte("who").prefix_with("MATERIALIZED")
        # In the order in which they were due, so that a batch is about one time, and too late at one time.
        place = func.row_number().over(
            partition_by=(who.c.reason.is_(None), who.c.locale, who.c.variant),
            order_by=(who.c.due_at, who.c.enrolment_id),
        )
        slot = cast(func.floor((place - 1) / size), Integer)
        ranked = select(who, slot.label("slot")).cte("ranked").prefix_with("MATERIALIZED")
        planned = select(
            ranked.c.enrolment_id,
            literal(self.step),
            literal(self.medium),
            case((ranked.c.reason.is_(None), self._batch_of(ranked.c)), else_=null()),
            case((ranked.c.reason.is_not(None), literal(MessageState.HELD.value)), else_=null()),
            ranked.c.reason,
        ).order_by(ranked.c.enrolment_id)
        columns = ["enrolment_id", "step", "medium", "batch_id", "state", "reason"]
        params = planned.params(guards.guard_instants(context, cap, self.now))
        self.session.execute(insert(Message).from_select(columns, params))
        self._record_sizes()

    def _batch_of(self, ranked: Any) -> Any:
        """Compute a message's batch from its slot: joined by its number, each would be looked up once a message."""
        cut = select(col(Batch.locale), col(Batch.variant), col(Batch.number), col(Batch.id)).where(
            *self._own_messages()
        )
        runs: list[tuple[str, str, int, int, int]] = []  # locale, variant, first slot, end, what is added for the id
        for locale, variant, number, id_ in self.session.execute(cut.order_by(col(Batch.id))):
            slot = number - self.first
            if runs and runs[-1][:2] == (locale, variant) and runs[-1][3:] == (slot, id_ - slot):
                runs[-1] = (locale, variant, runs[-1][2], slot + 1, id_ - slot)
            else:
                runs.append((locale, variant, slot, slot + 1, id_ - slot))
        matching = [
            (
                and_(ranked.locale == locale, ranked.variant == variant, ranked.slot >= start, ranked.slot < end),
                ranked.slot + literal(shift, BigInteger()),
            )
            for locale, variant, start, end, shift in runs
        ]
        return case(*matching, else_=null())

    def _own_messages(self) -> tuple[Clause, ...]:
        return (
            col(Batch.launch_id) == self.launch.id,
            col(Batch.step) == self.step,
            col(Batch.medium) == self.medium,
            col(Batch.number) >= self.first,
        )

    def _next_number(self) -> int:
        """Return the number after the step's last batch. A step is planned each time that someone comes to it."""
        so_far = select(func.coalesce(func.max(col(Batch.number)) + 1, 0)).where(
            col(Batch.launch_id) == self.launch.id, col(Batch.step) == self.step, col(Batch.medium) == self.medium
        )
        number: int = self.session.execute(so_far).scalar_one()
        return number

    def _plan_post(self) -> None:
        """Plan one public post per launch, on the enrolment that has no contact."""
        chosen = select(col(Enrolment.id)).where(self.everyone, col(Enrolment.contact_id).is_(None))
        if (public_enrolment := self.session.execute(chosen).scalar()) is None:
            return
        self.first = self._next_number()
        batch = self._batch(self.wordings.house, "", self.first, 1)
        self.session.add(batch)
        self.session.flush()
        message = Message(enrolment_id=public_enrolment, step=self.step, medium=self.medium, batch_id=batch.id)
        if self.content["said_once"] and repeats.post_repeat_reason(self.session, batch, settled=True):
            message.state, message.reason = MessageState.HELD, HoldReason.ALREADY_POSTED.text()
        self.session.add(message)

    def _guarded_people(
        self, context: GuardContext, cap: FrequencyCap | None, spoken: Any, variant: Any
    ) -> Select[Any]:
        return (
            select(
                col(Enrolment.id).label("enrolment_id"),
                col(Enrolment.due_at),
                spoken.label("locale"),
                variant.label("variant"),
                func.coalesce(
                    self._late_at(), guards.hold_reason(context, cap, self.wordings.hash_column(), settled=True)
                ).label("reason"),
            )
            .join(Contact, col(Contact.id) == col(Enrolment.contact_id))
            .outerjoin(Address, guards.address_written_to(context.medium))
            .where(self.who)
        )

    def _late_at(self) -> Any:
        """Compute from when on it is too late, counted from when it was due to be sent; the wait for approval is no
        delay."""
        late_after = self.launch.late_after
        if late_after is None or self.now - (self.launch.started_at or self.now) <= timedelta(seconds=late_after):
            return null()
        return case(
            (col(Enrolment.due_at) < self.now - timedelta(seconds=late_after), literal(guards.too_late(late_after))),
            else_=null(),
        )

    def _create_batches(self, spoken: Any, variant: Any, size: int) -> bool:
        """Create as many batches per locale and variant as all who are due could need; those that stay empty are
        deleted."""
        counts = self.session.execute(
            select(spoken.label("spoken"), variant.label("variant"), func.count())
            .select_from(Enrolment)
            .join(Contact, col(Contact.id) == col(Enrolment.contact_id))
            .where(self.who)
            .group_by("spoken", "variant")
        )
        rows = [
            self._batch(locale, name, self.first + number, 0).model_dump(exclude={"id"})
            for locale, name, count in counts
            for number in range(math.ceil(count / size))
        ]
        if rows:
            self.session.execute(insert(Batch), rows)
        return bool(rows)

    def _batch(self, locale: str, variant: str, number: int, size: int) -> Batch:
        assert self.launch.id is not None
        due = max(self.not_before, self.launch.due_at)
        return Batch(
            launch_id=self.launch.id,
            step=self.step,
            medium=self.medium,
            locale=locale,
            variant=variant,
            number=number,
            wording=self.wordings.reads.get((locale, variant), ""),
            size=size,
            due_at=due,
            delayed="to keep its distance after a stillness" if due > self.now else "",
        )

    def _record_sizes(self) -> None:
        mine = self._own_messages()
        of_batch = col(Message.batch_id) == col(Batch.id)
        counted = select(func.count()).where(of_batch).correlate(Batch).scalar_subquery()
        values: dict[str, Any] = {"size": counted}
        if self.launch.late_after is not None:
            first = select(func.min(col(Enrolment.due_at))).join(
                Message, col(Message.enrolment_id) == col(Enrolment.id)
            )
            meant: Any = first.where(of_batch).correlate(Batch).scalar_subquery()
            started = self.launch.started_at or self.now
            meant = case((meant < started, literal(started, UtcDateTime())), else_=meant)
            values["late_at"] = add_seconds(meant, self.launch.late_after + self._not_before())
        execute_update(self.session, update(Batch).where(*mine).values(**values))
        execute_update(self.session, delete(Batch).where(*mine, col(Batch.size) == 0))

    def _not_before(self) -> int:
        """Return for how many seconds we hold messages back ourselves, which counts for no delay."""
        return int(max(self.not_before - self.now, timedelta(0)).total_seconds())
