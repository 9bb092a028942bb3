"""The ledger against a model of sixty lines: whatever is done to it in whatever order, nobody twice, nobody lost, no after a no.

True time passes by itself; the machine's clock may jump against it, once in a quarantine. A call ends within its deadline of
true time, or never. `PASSAPAROLA_STEPS` sets how many steps are taken, 10,000 as a rule.
"""

import asyncio
import contextlib
import os
import shutil
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text, update
from sqlmodel import SQLModel, col

from passaparola import engine
from passaparola.channel.sender import Dispatch, Evidence, SendResult
from passaparola.channels.mailbox import MailboxSender
from passaparola.contacts import consent, merging
from passaparola.errors import NotAllowed, PassaparolaError, Slower, Unavailable, Uncertain
from passaparola.journeys import launch
from passaparola.outbox import ledger
from passaparola.outbox.claim import ReservedBatch, reserve_batch
from passaparola.outbox.finish import finish_launches
from passaparola.outbox.reconcile import quarantine_of, reconcile
from passaparola.outbox.record import record_outcome
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Address, Batch, Contact, Event, Launch, Message
from passaparola.store.states import FINAL_STATES, may_become
from tests.conftest import NOW, fresh
from tests.people import SECRET, add

STEPS, PER_EXAMPLE = int(os.environ.get("PASSAPAROLA_STEPS", "10000")), 50
CALL = timedelta(seconds=35)  # the channel's time-out, and the margin of the call's own deadline
BATCH = 3
FROZEN: dict[tuple[str, str, str], dict[str, Any]] = {}


class Call:
    """A request on its way: what it carries, and since when in true time."""

    def __init__(self, reserved: ReservedBatch, at: timedelta) -> None:
        self.reserved, self.at, self.taken = reserved, at, False


class LedgerMachine(RuleBasedStateMachine):
    store: ClassVar[Store]
    own: ClassVar[Settings]
    template: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._anew()
        self.true, self.skew, self.jumped = timedelta(), timedelta(), -timedelta(days=1)
        self.calls: list[Call] = []
        self.accepted: Counter[tuple[int, str]] = Counter()  # (launch, address) as the provider took it
        self.ids: set[str] = set()
        self.said_no: dict[str, int] = {}  # address → how many calls had been reserved when the no was committed
        self.reserved = 0
        self.number = 0
        self.states: dict[tuple[int, int, str], str] = {}  # what each message was at after the last step

    def _anew(self) -> None:
        """An empty store, and the engine of the last one, which has learned every statement."""
        if self.store.on_sqlite:
            self.store.engine.dispose()
            for tail in ("-wal", "-shm"):
                Path(f"{self.store.engine.url.database}{tail}").unlink(missing_ok=True)
            shutil.copy(self.template, str(self.store.engine.url.database))
        else:
            tables = ", ".join(table.name for table in SQLModel.metadata.tables.values())
            with self.store.write() as session:
                session.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))

    @property
    def now(self) -> datetime:
        return NOW + self.true + self.skew

    @initialize()
    def people(self) -> None:
        with self.store.write() as session:
            for n in range(7):
                add(session, f"Reader{n}", NOW - timedelta(days=1))

    # What marketers and contacts do

    @rule()
    def enqueue(self) -> None:
        self.number += 1
        file = self.own.home / "campaigns" / "hello.yaml"
        lines = [line for line in file.read_text().splitlines() if not line.startswith("title:")]
        file.write_text("\n".join([f"title: Hello {self.number}", *lines]) + "\n")
        frozen = freezer(self.own)

        def freeze(name: str, medium: str, campaign: str) -> dict[str, Any]:
            """The words are the same each time; compiling them would be half of the test."""
            key = (name, medium, campaign)
            if key not in FROZEN:
                FROZEN[key] = frozen(*key)
            return FROZEN[key]

        try:
            made = launch.prepare(self.store, self.own, "hello", freeze, actor="t", now=self.now)
            launch.approve(self.store, self.own, made.id or 0, made.hash, freeze, approver="Ada", now=self.now)
            engine.start_launch(self.store, self.own, made.id or 0, actor="t", now=self.now)
        except NotAllowed:
            pass

    @rule(
        what=st.sampled_from(
            [ledger.pause_launch, ledger.resume_launch, ledger.pause_launch, ledger.resume_launch, ledger.recall_launch]
        ),
        which=st.integers(0, 9),
    )
    def command(self, what: Any, which: int) -> None:
        with self.store.read() as session:
            launches = list(session.execute(select(col(Launch.id)).order_by(col(Launch.id))).scalars())
        if launches:
            with contextlib.suppress(NotAllowed):
                what(self.store, launches[which % len(launches)], actor="t", now=self.now)

    @rule(n=st.integers(0, 6), way=st.sampled_from(["preferences", "complaint"]))
    def says_no(self, n: int, way: str) -> None:
        person, address = self._person(n)
        if person is None:
            return
        with self.store.write() as session:
            if way == "preferences":
                consent.record(session, person, "email", "newsletter", False, at=self.now, source="t", proof={})
            else:
                key = session.execute(select(col(Address.key)).where(col(Address.value) == address)).scalar_one()
                consent.suppress(session, "email", key, "complaint", at=self.now, source="t")
        self.said_no.setdefault(address, self.reserved)

    @rule(n=st.integers(0, 6))
    def erased(self, n: int) -> None:
        person, address = self._person(n)
        if person is not None and n > 3:
            try:
                engine.erase_contact(self.store, self.own, person, actor="t", now=self.now)
            except PassaparolaError:
                return
            self.said_no.setdefault(address, self.reserved)

    @rule(one=st.integers(0, 2), other=st.integers(0, 2))
    def merged(self, one: int, other: int) -> None:
        (first, _), (second, _) = self._person(one), self._person(other)
        if first and second and first != second:
            try:
                with self.store.write() as session:
                    merging.merge(session, self.own, first, second, actor="t", now=self.now, reasons=["t"])
            except PassaparolaError:
                pass

    def _person(self, n: int) -> tuple[int | None, str]:
        address = f"reader{n}@example.org"
        with self.store.read() as session:
            return session.execute(
                select(col(Address.contact_id)).where(col(Address.value) == address)
            ).scalar(), address

    # What workers and providers do

    @rule()
    def claim(self) -> None:
        held = reserve_batch(self.store, self.own, worker="w", now=self.now)
        if held:
            self.reserved += 1
            self.calls.append(Call(held, self.true))
            for message in held.dispatch.messages:
                assert message.to_address not in self.said_no or self.said_no[message.to_address] >= self.reserved, (
                    "written to after a no"
                )

    @precondition(lambda self: self.calls)
    @rule(
        which=st.integers(0, 9),
        end=st.sampled_from(["yes", "yes", "lost yes", "lost no", "busy", "slower", "crash yes", "crash no", "partly"]),
    )
    def answers(self, which: int, end: str) -> None:
        call = self.calls.pop(which % len(self.calls))
        messages = call.reserved.dispatch.messages
        in_time = self.true - call.at <= CALL
        if end in ("yes", "lost yes", "crash yes", "partly") and in_time:
            taken = messages[:1] if end == "partly" else messages
            for message in taken:
                self._take(call, message.id, message.to_address)
        if end.startswith("crash"):
            return
        outcome: Any = Uncertain("no answer")
        if in_time and end == "yes":
            outcome = SendResult(receipt="r")
        elif in_time and end == "partly":
            outcome = SendResult(receipt="r", deferred={message.id: "busy" for message in messages[1:]})
        elif end == "busy":
            outcome = Unavailable("busy", after=1)
        elif end == "slower":
            outcome = Slower("slower", after=5)
        record_outcome(self.store, call.reserved, outcome, self.now)

    def _take(self, call: Call, id_: str, to: str) -> None:
        self.accepted[call.reserved.launch, to] += 1
        assert self.accepted[call.reserved.launch, to] == 1, "somebody got it twice"
        self.ids.add(id_)

    @rule()
    def reconciled(self) -> None:
        async def look_up(channel: MailboxSender, dispatch: Dispatch) -> Evidence:
            ids = {message.id for message in dispatch.messages}
            return Evidence(dict.fromkeys(ids & self.ids, "r"), absent=frozenset(ids - self.ids))

        before, MailboxSender.look_up = MailboxSender.look_up, look_up  # type: ignore[method-assign]
        try:
            asyncio.run(reconcile(self.store, self.now))
        finally:
            MailboxSender.look_up = before  # type: ignore[method-assign]

    @precondition(lambda self: self.ids)
    @rule(which=st.integers(0, 99))
    def webhook(self, which: int) -> None:
        """The provider tells that it took one of them."""
        from passaparola.inbound import store as inbound_store
        from tests.providers import event, events

        id_ = sorted(self.ids)[which % len(self.ids)]
        _, body = events(event("processed", id_, "reader@example.org", at=int(self.now.timestamp())))
        with self.store.write() as session:
            inbound_store.store_body(
                session, inbound_store.NewBody("sendgrid", f"{id_}-{self.true}", {}, body, self.now)
            )
        engine.tick(self.store, self.own, self.now, actor="t")

    # What time does

    @rule(seconds=st.sampled_from([1, 10, 40, 80, 3600]))
    def passes(self, seconds: int) -> None:
        self.true += timedelta(seconds=seconds)
        for call in [call for call in self.calls if self.true - call.at > timedelta(hours=1)]:
            self.calls.remove(call)  # its worker is long dead

    @rule(jump=st.sampled_from([timedelta(hours=1), timedelta(hours=-1), timedelta(days=400)]))
    def clock_jumps(self, jump: timedelta) -> None:
        if self.true - self.jumped > 2 * quarantine_of("mailbox"):
            self.skew, self.jumped = self.skew + jump, self.true

    @invariant()
    def messages_go_only_where_the_table_says(self) -> None:
        with self.store.read() as session:
            state = ledger.message_state()
            chosen = select(col(Message.enrolment_id), col(Message.step), col(Message.medium), state)
            joined = chosen.outerjoin(Batch, col(Batch.id) == col(Message.batch_id))
            now = {(enrolment, step, medium): at for enrolment, step, medium, at in session.execute(joined)}
        for message, before in self.states.items():
            if message in now:
                assert may_become(before, now[message]), (message, before, now[message])
        self.states = now

    def teardown(self) -> None:
        self._settle()

    def _settle(self) -> None:
        """Everything runs to its end: then each passage has one, and the ledger says what the provider knows."""
        with self.store.write() as session:
            session.execute(update(Launch).where(col(Launch.state) == "paused").values(state="running"))
        self.skew += timedelta(days=500)
        for _ in range(3):
            self.true += timedelta(hours=2)
            self.calls.clear()
            self.reconciled()
            while held := reserve_batch(self.store, self.own, worker="w", now=self.now):
                for message in held.dispatch.messages:
                    self._take(Call(held, self.true), message.id, message.to_address)
                record_outcome(self.store, held, SendResult(receipt="r"), self.now)
        finish_launches(self.store, self.now)
        with self.store.read() as session:
            for id_ in session.execute(select(col(Launch.id)).where(col(Launch.started_at).is_not(None))).scalars():
                found = ledger.tally_launch(session, id_).as_json()
                ends = sum(found[state] for state in FINAL_STATES)
                assert ends == found["audience"], (found["media"], found["state"], _open(session, id_))
                assert found["unknown"] == 0, "evidence decides everything in the end"
            sent = {
                f"{e}-{s}-{m}"
                for e, s, m in session.execute(
                    select(col(Message.enrolment_id), col(Message.step), col(Message.medium))
                    .join(Batch, col(Batch.id) == col(Message.batch_id))
                    .where(ledger.message_state() == "sent")
                )
            }
            assert sent == self.ids, "the ledger and the provider disagree"
            assert not session.execute(select(Event).where(col(Event.contact_id).is_(None))).first()
            assert not session.execute(select(Contact).where(col(Contact.id) == col(Contact.merged_into))).first()


def _open(session: Any, launch_id: int) -> list[Any]:
    batches = select(Batch).where(col(Batch.launch_id) == launch_id)
    return [(b.id, b.state, b.size, b.due_at, b.late_at) for b in session.execute(batches).scalars()]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "share"), [("sqlite", 0.9), ("postgresql", 0.1)])
def test_the_ledger_keeps_its_promises_whatever_is_done_to_it(
    kind: str, share: float, migrated: dict[str, str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MailboxSender, "batch_size", BATCH)
    with fresh(kind, migrated, tmp_path) as address:
        store = Store(address)
        own = Settings(home=home, var=home / "var", database_url=address, secret_key=SECRET)
        given = {"store": store, "own": own, "template": migrated["sqlite"]}
        steps = settings(
            max_examples=max(int(STEPS * share / PER_EXAMPLE), 1), stateful_step_count=PER_EXAMPLE, deadline=None,
            derandomize="PASSAPAROLA_STEPS" not in os.environ, suppress_health_check=list(HealthCheck), phases=(Phase.generate,),
        )  # fmt: skip
        run_state_machine_as_test(type(f"LedgerOn{kind.title()}", (LedgerMachine,), given), settings=steps)
        store.close()
