"""A campaign before it happens: the real statements on a fake clock, in a copy of the store. Sends and changes nothing.

`rehearse` copies and plays, `play` is for a store that may be spent. What comes out is a calendar: who gets what
and when, who is held and why, how much in which hour, and what it costs.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update
from sqlmodel import Session, col

from passaparola.channel.sender import SendResult
from passaparola.contacts import activity, events
from passaparola.contacts.events import NewEvent
from passaparola.journeys import launch as launches
from passaparola.journeys import schedule, times
from passaparola.journeys.advance import advance
from passaparola.journeys.next_due import next_due
from passaparola.outbox.claim import reserve_batch
from passaparola.outbox.plan import plan_messages
from passaparola.outbox.record import record_outcome
from passaparola.outbox.render.cast import AN_ORDER
from passaparola.outbox.render.frozen import freezer
from passaparola.rehearsal.assumption import ACTION_DELAY, ANSWER_DELAY, Assumption
from passaparola.rehearsal.copying import COPY_BATCH_ROWS, copy_store
from passaparola.rehearsal.progress import Progress
from passaparola.rehearsal.result import Rehearsal
from passaparola.settings import Settings
from passaparola.store.bulk import execute_update
from passaparola.store.database import Store
from passaparola.store.models import Batch, Contact, Enrolment, Launch
from passaparola.store.states import MessageState

MAX_SHOWN_CONTACTS = 20  # people whose own calendar is kept


def rehearse(
    store: Store,
    settings: Settings,
    name: str,
    *,
    days: int,
    now: datetime,
    contacts: str = "",
    assume: Iterable[str] = (),
) -> Rehearsal:
    """Play a campaign in a copy. `contacts` is an audience or a question; default: everyone.

    Raises Unknown, BadContent: the campaign, the audience or an assumption is not fine.
    """
    with tempfile.TemporaryDirectory(prefix="passaparola-rehearsal-") as folder:
        copy = Store(f"sqlite:///{Path(folder) / 'rehearsal.db'}").open()
        try:
            copy_store(store, settings, copy, contacts, now)
            settings = settings.model_copy(
                update={"database_url": copy.url, "var": Path(folder), "secret_key": settings.secret}
            )
            return play_in_place(copy, settings, name, days=days, now=now, assume=assume)
        finally:
            copy.close()


def play_in_place(
    store: Store, settings: Settings, name: str, *, days: int, now: datetime, assume: Iterable[str] = ()
) -> Rehearsal:
    """Play a campaign in this very store, which is then spent."""
    return _Playback(
        store, settings, name, days, times.truncate_to_minute(now), [Assumption.parse(text) for text in assume]
    ).play()


class _Playback:
    def __init__(
        self, store: Store, settings: Settings, name: str, days: int, now: datetime, assumed: list[Assumption]
    ) -> None:
        self.store, self.settings, self.now, self.assumed = store, settings, now, assumed
        self.end = now + timedelta(days=days)
        self.seen = Rehearsal(name, now, days, [assumption.text for assumption in assumed])
        self.done: set[tuple[int, str]] = set()
        self.script: list[tuple[datetime, int, Assumption, int]] = []

    def play(self) -> Rehearsal:
        self._start()
        while True:
            advance(self.store, self.settings, self.now, plan_messages)
            self._deliver()
            self._script_assumptions()
            with self.store.read() as session:
                self.progress.record(session, self.now)
            following = self._next_instant()
            if following is None or following > self.end:
                break
            self.now = following
            self._act_script()
        with self.store.read() as session:
            self.progress.sum_up(session, self.settings)
        return self.seen

    def _start(self) -> None:
        freeze = freezer(self.settings)
        with self.store.write() as session:
            others = update(Launch).where(col(Launch.campaign) == self.seen.campaign, col(Launch.accepting))
            execute_update(session, others.values(accepting=False))
        made = launches.prepare(self.store, self.settings, self.seen.campaign, freeze, actor="rehearsal", now=self.now)
        assert made.id is not None
        launches.approve(self.store, self.settings, made.id, made.hash, freeze, approver="rehearsal", now=self.now)
        launches.release(self.store, made.id, actor="rehearsal", now=self.now)
        self.first, self.content = made.id, made.content
        shown: dict[int, tuple[str, str]] = {}
        with self.store.write() as session:
            people = select(col(Contact.id), col(Contact.first_name), col(Contact.time_zone)).order_by(col(Contact.id))
            for id_, first, zone in session.execute(people.limit(MAX_SHOWN_CONTACTS)):
                shown[id_] = (first or f"contact {id_}", zone or self.settings.time_zone)
            self.progress = Progress(self.seen, made, shown)
            if kind := self.content["enter"].get("on"):
                self.seen.assumed.insert(0, f"everyone does {kind} at the start")
                self._record_for_everyone(session, kind)

    def _record_for_everyone(self, session: Session, kind: str) -> None:
        ids = [
            id_
            for id_ in session.execute(select(col(Contact.id)).where(col(Contact.erased_at).is_(None))).scalars()
            if id_
        ]
        key = self.content["enter"].get("key")
        self._record_events(session, [(id_, kind, {key: f"rehearsal-{id_}"} if key else {}) for id_ in ids])

    def _record_events(self, session: Session, what: Sequence[tuple[int, str, dict[str, Any]]]) -> None:
        rows = [
            NewEvent(
                contact,
                kind,
                self.now,
                self.now,
                "rehearsal",
                f"{kind}:{contact}:{self.now:%Y%m%d%H%M}",
                properties=properties,
                **_sample_amount(kind),
            )
            for contact, kind, properties in what
        ]
        for start in range(0, len(rows), COPY_BATCH_ROWS):
            activity.add_events(
                session, self.settings.currency, events.record_events(session, rows[start : start + COPY_BATCH_ROWS])
            )

    def _deliver(self) -> None:
        while reserved := reserve_batch(self.store, self.settings, worker="rehearsal", now=self.now):
            record_outcome(self.store, reserved, SendResult(), self.now)

    def _script_assumptions(self) -> None:
        """Plan the assumed actions of whoever now waits for them, or has entered."""
        if not self.assumed:
            return
        listens = {step.get("wait for") for step in self.content["steps"]}
        with self.store.read() as session:
            for place, assumption in enumerate(self.assumed):
                mine = select(
                    col(Enrolment.id), col(Enrolment.contact_id), col(Enrolment.since), col(Enrolment.entered_at)
                )
                mine = mine.where(
                    col(Enrolment.launch_id) >= self.first,
                    ~col(Enrolment.holdout),
                    col(Enrolment.contact_id).is_not(None),
                )
                waits = assumption.kind in listens
                if waits:
                    mine = mine.where(col(Enrolment.waiting) == assumption.kind)
                for id_, contact, since, entered in session.execute(mine):
                    if (id_, f"{place}") not in self.done:
                        self.done.add((id_, f"{place}"))
                        after = assumption.after or (ANSWER_DELAY if waits else ACTION_DELAY)
                        self.script.append(((since if waits else entered) + after, contact, assumption, id_))

    def _act_script(self) -> None:
        due = [entry for entry in self.script if entry[0] <= self.now]
        if not due:
            return
        self.script = [entry for entry in self.script if entry[0] > self.now]
        key = self.content["enter"].get("key")
        with self.store.write() as session:
            keys = dict(
                session.execute(
                    select(col(Enrolment.id), col(Enrolment.key)).where(col(Enrolment.id).in_([e[3] for e in due]))
                ).all()
            )
            self._record_events(
                session,
                [
                    (contact, assumption.kind, {**assumption.properties, **({key: keys[id_]} if key else {})})
                    for _, contact, assumption, id_ in due
                ],
            )

    def _next_instant(self) -> datetime | None:
        with self.store.read() as session:
            batch = (
                select(func.min(col(Batch.due_at)))
                .join(Launch, col(Launch.id) == col(Batch.launch_id))
                .where(col(Batch.state) == MessageState.QUEUED, col(Launch.state) == "running")
            )
            instants = [
                next_due(session),
                session.execute(batch).scalar(),
                min((e[0] for e in self.script), default=None),
            ]
            instants += list(self._occurrences(session))
        later = [at for at in instants if at is not None and at > self.now]
        return min(later, default=None)

    def _occurrences(self, session: Session) -> Iterator[datetime]:
        accepting = select(Launch).where(col(Launch.accepting), col(Launch.state) == "running")
        for launch in session.execute(accepting).scalars():
            if (coming := schedule.next_occurrence(launch, self.now)) is not None:
                yield coming


def _sample_amount(kind: str) -> dict[str, Any]:
    """Return the amount and currency of an order like any other."""
    bought = kind.startswith("order_")
    return {"amount": AN_ORDER["amount"] if bought else None, "currency": AN_ORDER["currency"] if bought else None}
