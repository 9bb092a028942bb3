"""Advance launches: apply pending events, start due occurrences, and move on who is due. By set, never one by one.

Each tick is a handful of statements per launch and step, and each step a transaction of its own that locks the launch:
a tick may die anywhere, two of them may run at once, and a tick that is late does what many small ones would have done.
"""

from collections import Counter
from datetime import datetime
from functools import cached_property
from typing import Protocol

from sqlalchemy import and_, func, select, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from passaparola.contacts import audience
from passaparola.contacts.audience import Question
from passaparola.contacts.audience.compile import Clause
from passaparola.contacts.audience.words import Catalogue
from passaparola.errors import PassaparolaError
from passaparola.failpoints import failpoint
from passaparola.journeys import enrolment, events, schedule, steps
from passaparola.journeys.campaign import STEP, Pause, Say, WaitFor
from passaparola.settings import Settings
from passaparola.store.bulk import execute_update
from passaparola.store.database import Store, audit
from passaparola.store.models import Batch, Contact, Enrolment, Launch, Message
from passaparola.store.types import add_seconds


class PlanMessages(Protocol):
    """Plans a step's messages in the transaction that moves its people on; passed in by the engine, as journeys do not
    know the outbox."""

    def __call__(
        self,
        session: Session,
        settings: Settings,
        launch: Launch,
        step: int,
        who: Clause,
        *,
        not_before: datetime,
        now: datetime,
    ) -> None: ...


def advance(
    store: Store, settings: Settings, now: datetime, plan: PlanMessages, launch: int | None = None
) -> Counter[str]:
    """Advance the running launches. Return how many entered, left, reached the goal and moved."""
    moved: Counter[str] = Counter()
    with store.read() as session:
        running = select(col(Launch.id)).where(col(Launch.state) == "running", col(Launch.due_at) <= now)
        chosen = running.where(col(Launch.id) == launch) if launch else running
        ids = list(session.execute(chosen.order_by(col(Launch.priority).desc(), col(Launch.id))).scalars())
    while ids:
        started: list[int] = []
        for id_ in ids:
            tick = _LaunchTick(store, settings, id_ or 0, now, plan)
            try:
                tick.run()
            except OperationalError:
                raise  # the database is busy or away: no campaign's fault
            except Exception as error:  # one campaign that can't be advanced stops no other
                reason = str(error) if isinstance(error, PassaparolaError) else type(error).__name__
                _pause(store, id_ or 0, reason, now)
            moved += tick.moved
            started += tick.started
        ids = list(started)  # launches that an occurrence has just started are due in the same tick
    return moved


def _pause(store: Store, id_: int, reason: str, now: datetime) -> None:
    with store.write() as session:
        launch = session.get(Launch, id_, with_for_update=True)
        if launch and launch.state == "running":
            launch.state, launch.note = "paused", f"cannot be advanced: {reason}"[:300]
            audit(session, now, "journeys", "paused", f"launch:{id_}", because=launch.note)


class _LaunchTick:
    """One launch's part of a tick."""

    def __init__(self, store: Store, settings: Settings, id_: int, now: datetime, plan: PlanMessages) -> None:
        self.store, self.settings, self.id, self.now, self.plan = store, settings, id_, now, plan
        self.moved: Counter[str] = Counter()
        self.started: list[int] = []
        self.first_said: datetime | None = None
        self.spread: list[int] = []

    def run(self) -> None:
        with self.store.read() as session:
            launch = session.get(Launch, self.id)
            assert launch is not None
            self.launch, self.content = launch, launch.content
            self.last_batch = session.execute(select(func.coalesce(func.max(col(Batch.id)), 0))).scalar_one()
            news = events.pending_event_kinds(session, launch, self.now)
            occurred = schedule.due_occurrences(launch, self.now)
        words = self.catalogue if occurred else Catalogue()
        if news or occurred:
            with self.store.write() as session:
                if launch := self._lock_launch(session):
                    self.moved += events.apply_events(session, launch, news, self.now) if news else Counter()
                    if occurred:
                        self.started += schedule.start_occurrence(session, launch, occurred, words, self.now)
        for number, plain in enumerate(self.content["steps"]):
            if self._has_anyone_at(number):
                with self.store.write() as session:
                    if self._lock_launch(session):
                        self._advance_step(session, number, STEP.validate_python(plain))
                        failpoint("advanced")
        if self.spread:
            with self.store.write() as session:
                if self._lock_launch(session):
                    self._postpone_after_delay(session)

    @cached_property
    def catalogue(self) -> Catalogue:
        with self.store.read() as session:
            known = audience.load_catalogue(session, self.settings)
        return enrolment.launch_catalogue(self.content, known)

    def _lock_launch(self, session: Session) -> Launch | None:
        """Lock the launch, so that two ticks of it take turns. Return None where it was paused or recalled
        meanwhile."""
        launch = session.get(Launch, self.id, with_for_update=True, populate_existing=True)
        self.launch = launch or self.launch
        return launch if launch and launch.state == "running" else None

    def _has_anyone_at(self, step: int) -> bool:
        with self.store.read() as session:
            return session.execute(select(col(Enrolment.id)).where(*self._due_at(step)).limit(1)).scalar() is not None

    def _due_at(self, step: int) -> tuple[Clause, ...]:
        return (
            col(Enrolment.launch_id) == self.id,
            col(Enrolment.step) == step,
            col(Enrolment.due_at) <= self.now,
            col(Enrolment.outcome).is_(None),
        )

    def _advance_step(self, session: Session, number: int, step: Say | Pause | WaitFor) -> None:
        due = and_(*self._due_at(number))
        self.moved["left"] += events.end_passages(session, self.launch, due, self.now)
        if (leave := self.content["leave"]) and leave.get("when"):
            left = update(Enrolment).where(due, self._condition_holds(leave["when"]))
            ended = {"outcome": "left", "ended_at": self.now, "waiting": None}
            self.moved["left"] += execute_update(session, left.values(**ended))
        if step.when:
            steps.move_to_next_step(
                session, self.launch, number, self.now, and_(due, ~self._condition_holds(step.when))
            )
        match step:
            case Say():
                self._plan_say(session, number, due)
            case Pause():
                self.moved["waiting"] += steps.start_wait(session, self.settings, number, step, due, self.now)
            case WaitFor():
                self.moved += steps.wait_for_event(session, self.launch, number, step, due, self.now)

    def _condition_holds(self, condition: str) -> Clause:
        question = Question.parse(condition, self.catalogue)
        return col(Enrolment.contact_id).in_(select(col(Contact.id)).where(question.clause(self.now)))

    def _plan_say(self, session: Session, number: int, due: Clause) -> None:
        """Plan the messages of a say. After an outage, overdue messages of one contact keep their distances: nobody
        gets a week's emails in one morning."""
        earliest = session.execute(select(func.min(col(Enrolment.due_at))).where(due)).scalar()
        if earliest is None:
            return
        again = self._planned_in_this_tick(number)
        overdue = session.execute(select(func.min(col(Enrolment.due_at))).where(due, again)).scalar()
        if overdue is not None and self.first_said is not None and overdue > self.first_said:
            later_on = self.now + (overdue - self.first_said)
            self.plan(session, self.settings, self.launch, number, and_(due, again), not_before=later_on, now=self.now)
            self.spread.append(number)
            self.plan(session, self.settings, self.launch, number, and_(due, ~again), not_before=self.now, now=self.now)
        else:
            self.plan(session, self.settings, self.launch, number, due, not_before=self.now, now=self.now)
        self.first_said = min(self.first_said or earliest, earliest)
        if pause := self._wait_after(number):
            waiting = steps.start_wait(session, self.settings, number + 1, pause, due, self.now)
            self.moved += Counter({"said": waiting, "waiting": waiting})
        else:
            self.moved["said"] += steps.move_to_next_step(session, self.launch, number, self.now, due)

    def _wait_after(self, number: int) -> Pause | None:
        """Return the wait after a say, where it is for everybody: both steps are taken in one write, which is most
        of what a tick costs."""
        following = self.content["steps"][number + 1 : number + 2]
        step = STEP.validate_python(following[0]) if following else None
        return step if isinstance(step, Pause) and not step.when else None

    def _planned_in_this_tick(self, number: int) -> Clause:
        """Match enrolments for which this very tick has planned an earlier message."""
        ready = (
            select(col(Message.enrolment_id))
            .join(Batch, col(Batch.id) == col(Message.batch_id))
            .where(col(Batch.launch_id) == self.id, col(Batch.step) < number, col(Batch.id) > self.last_batch)
        )
        return col(Enrolment.id).in_(ready)

    def _postpone_after_delay(self, session: Session) -> None:
        """Postpone later steps by the same delay for people whose overdue email is still queued."""
        assert self.first_said is not None
        behind = int((self.now - self.first_said).total_seconds())
        to_come = (
            select(col(Message.enrolment_id))
            .join(Batch, col(Batch.id) == col(Message.batch_id))
            .where(col(Batch.launch_id) == self.id, col(Batch.step).in_(self.spread), col(Batch.due_at) > self.now)
        )
        late = update(Enrolment).where(
            col(Enrolment.launch_id) == self.id,
            col(Enrolment.outcome).is_(None),
            col(Enrolment.due_at) > self.now,
            col(Enrolment.id).in_(to_come),
        )
        execute_update(session, late.values(due_at=add_seconds(col(Enrolment.due_at), behind)))
