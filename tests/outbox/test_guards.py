"""Nobody who said no is written to, and every message that was not sent says why, in words."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from passaparola import engine
from passaparola.channel.message_ids import MessageId
from passaparola.channel.sender import Evidence, SendResult
from passaparola.contacts import consent
from passaparola.errors import NotAllowed, Unavailable, Uncertain
from passaparola.journeys import launch
from passaparola.journeys.freeze import freeze_now
from passaparola.outbox import ledger, reconcile, story
from passaparola.outbox.claim import reserve_batch
from passaparola.outbox.deliver import Drain
from passaparola.outbox.links import Links
from passaparola.outbox.preview import build_preview
from passaparola.outbox.quiet_hours import quiet_until
from passaparola.outbox.record import record_outcome
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Address, Audit, Batch, Contact, Launch, Message
from tests.conftest import NOW
from tests.people import add, cast, crowd


def approved(store: Store, settings: Settings, now: datetime | None = None, due_at: datetime | None = None) -> int:
    freeze = freezer(settings)
    made = launch.prepare(store, settings, "hello", freeze, actor="t", now=now or utc_now(), due_at=due_at)
    assert made.id
    launch.approve(store, settings, made.id, made.hash, freeze, approver="Ada", now=now or utc_now())
    return made.id


def released(store: Store, settings: Settings, now: datetime | None = None) -> int:
    made = approved(store, settings, now)
    engine.start_launch(store, settings, made, actor="t", now=now or utc_now())
    return made


def drained(store: Store, settings: Settings, now: datetime | None = None) -> None:
    asyncio.run(Drain(store, settings, clock=(lambda: now) if now else utc_now).run())


def reasons(store: Store, launch_id: int) -> dict[str, int]:
    with store.read() as session:
        return ledger.tally_launch(session, launch_id).reasons


def changed(home_of: Settings, old: str, new: str) -> None:
    path = home_of.home / "campaigns" / "hello.yaml"
    path.write_text(path.read_text().replace(old, new))


def reworded(settings: Settings) -> None:
    """The same plan with other words."""
    path = settings.home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace("Dear", "Dearest"))


def test_everyone_who_was_not_written_to_says_why(store: Store, settings: Settings) -> None:
    cast(store, NOW)
    made = released(store, settings)
    drained(store, settings)
    with store.read() as session:
        found = ledger.tally_launch(session, made).as_json()
    assert (found["audience"], found["sent"], found["held"]) == (5, 1, 4)  # the erased is in no audience
    assert found["reasons"] == {
        "held: said no to newsletter by email": 1,
        "held: never said yes to newsletter by email": 1,
        "held: suppressed: hard bounce": 1,
        "held: no email address": 1,
    }


@pytest.mark.parametrize(
    "change", ["unsubscribed", "unsubscribed from everything", "suppressed", "erased", "address gone"]
)
def test_a_no_after_planning_is_heard_when_the_batch_is_reserved(store: Store, settings: Settings, change: str) -> None:
    with store.write() as session:
        add(session, "Alice", NOW)
        bob = add(session, "Bob", NOW)
    made = released(store, settings)
    with store.write() as session:
        if change.startswith("unsubscribed"):
            consent.record(
                session, bob, "email", "*" if "everything" in change else "newsletter", False, at=utc_now(), source="t"
            )
        elif change == "suppressed":
            key = session.execute(select(Address.key).where(col(Address.contact_id) == bob)).scalar_one()
            consent.suppress(session, "email", key, "complaint", at=utc_now(), source="t")
        elif change == "erased":
            session.get_one(Contact, bob).erased_at = utc_now()
        else:
            session.delete(session.execute(select(Address).where(col(Address.contact_id) == bob)).scalar_one())
    drained(store, settings)
    with store.read() as session:
        found = ledger.tally_launch(session, made)
    assert (found.total("sent"), found.total("held")) == (1, 1)


def test_a_yes_after_a_no_counts_again(store: Store, settings: Settings) -> None:
    with store.write() as session:
        bob = add(session, "Bob", NOW, says=False)
        consent.record(session, bob, "email", "newsletter", True, at=NOW + timedelta(days=1), source="t")
        assert consent.may_be_written_to(session, bob, "email", "newsletter")


def test_the_same_wording_is_never_said_to_anyone_twice(store: Store, settings: Settings) -> None:
    crowd(store, 3, NOW)
    released(store, settings)
    drained(store, settings)
    with store.write() as session:
        add(session, "Newcomer", NOW)
    again = released(store, settings)
    drained(store, settings)
    with store.read() as session:
        found = ledger.tally_launch(session, again)
    assert (found.total("sent"), found.total("held")) == (1, 3)
    assert reasons(store, again) == {"held: already had this very message": 3}


def _wider(home: Path) -> None:
    (home / "audiences" / "readers.yaml").write_text('title: Readers\nwho: everyone and not country = "XX"\n')


def _retitled(home: Path) -> None:
    path = home / "campaigns" / "hello.yaml"
    path.write_text(path.read_text().replace("A greeting", "Another greeting"))


def _later_step(home: Path) -> None:
    path = home / "campaigns" / "hello.yaml"
    path.write_text(path.read_text().replace("steps:\n", "holdout: 1%\npriority: high\nsteps:\n"))


def _copied(home: Path) -> None:
    shutil.copytree(home / "templates" / "hello", home / "templates" / "hello_again")
    path = home / "campaigns" / "hello.yaml"
    path.write_text(path.read_text().replace("say: hello", "say: hello_again"))


def _with_the_title_inside(home: Path) -> None:
    path = home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace("Dear", "{{ campaign.title }}: dear"))


def _reworded(home: Path) -> None:
    path = home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace("Dear", "Dearest"))


def _another_subject(home: Path) -> None:
    path = home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace("subject: Hello", "subject: Good day"))


def _another_link(home: Path) -> None:
    path = home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace("/spring", "/summer"))


@pytest.mark.parametrize("change", [_wider, _retitled, _later_step, _copied])
def test_who_reads_the_same_words_reads_them_once_whatever_else_is_changed(
    change: Callable[[Path], None], store: Store, settings: Settings
) -> None:
    crowd(store, 3, NOW)
    released(store, settings)
    drained(store, settings)
    change(settings.home)
    for _ in range(2):
        again = released(store, settings)
        drained(store, settings)
        with store.read() as session:
            found = ledger.tally_launch(session, again)
        assert (found.total("sent"), found.reasons.get("held: already had this very message")) == (
            0,
            found.total("held"),
        )


@pytest.mark.parametrize("change", [_with_the_title_inside, _reworded, _another_subject, _another_link])
def test_who_reads_other_words_is_written_to(change: Callable[[Path], None], store: Store, settings: Settings) -> None:
    crowd(store, 3, NOW)
    released(store, settings)
    drained(store, settings)
    change(settings.home)
    again = released(store, settings)
    drained(store, settings)
    with store.read() as session:
        assert ledger.tally_launch(session, again).total("sent") == 3


def test_another_campaign_with_the_same_words_says_them_to_newcomers_only(store: Store, settings: Settings) -> None:
    crowd(store, 3, NOW)
    released(store, settings)
    drained(store, settings)
    plan = settings.home / "campaigns" / "hello.yaml"
    plan.rename(plan.with_name("greeting.yaml"))
    with store.write() as session:
        add(session, "Newcomer", NOW)
        add(session, "Anna", NOW, language="it")
    (settings.home / "templates" / "hello" / "email.it.mjml").write_text(
        (settings.home / "templates" / "hello" / "email.mjml").read_text().replace("Dear", "Cara")
    )
    freeze = freezer(settings)
    made = launch.prepare(store, settings, "greeting", freeze, actor="t", now=utc_now())
    launch.approve(store, settings, made.id or 0, made.hash, freeze, approver="Ada", now=utc_now())
    seen = build_preview(store, settings, freeze_now(store, settings, "greeting", freeze), NOW)
    assert seen.media["email"] == {"": 2, "already had this very message": 3}
    engine.start_launch(store, settings, made.id or 0, actor="t", now=utc_now())
    drained(store, settings)
    with store.read() as session:
        found = ledger.tally_launch(session, made.id or 0)
    assert (found.total("sent"), found.total("held")) == (2, 3)


def test_of_two_sends_at_once_each_person_gets_one(store: Store, settings: Settings) -> None:
    """The earlier launch speaks, also where the later one is drained first and where both are drained side by side."""
    crowd(store, 40, NOW)
    first, second = released(store, settings), released(store, settings)
    with ThreadPoolExecutor(4) as workers:
        for done in [workers.submit(drained, store, settings) for _ in range(4)]:
            done.result()
    assert reasons(store, first) == {}
    assert list(reasons(store, second)) in (
        ["held: already had this very message"],
        ["held: gets this very message from an earlier launch"],
    )
    with store.read() as session:
        assert [ledger.tally_launch(session, n).total("sent") for n in (first, second)] == [40, 0]


@pytest.mark.parametrize("seed", range(4))
def test_sends_that_are_prepared_and_drained_side_by_side_write_to_everyone_once(
    seed: int, store: Store, settings: Settings
) -> None:
    crowd(store, 30, NOW)

    def send() -> int:
        made = released(store, settings)
        drained(store, settings)
        return made

    with ThreadPoolExecutor(3) as workers:
        made = [one.result() for one in [workers.submit(send) for _ in range(3)]]
    drained(store, settings)
    box = settings.var / "mailbox" / "email" / "new"
    to = Counter(
        mail.partition("To: ")[2].partition("\r\n")[0] for mail in (p.read_bytes().decode() for p in box.iterdir())
    )
    assert len(to) == 30
    assert set(to.values()) == {1}
    with store.read() as session:
        tallies = [ledger.tally_launch(session, n) for n in made]
    assert sum(t.total("sent") for t in tallies) == 30
    assert sum(t.total("held") for t in tallies) == 60


def test_a_frequency_cap_counts_over_all_campaigns(store: Store, settings: Settings) -> None:
    crowd(store, 3, NOW)
    capped = settings.model_copy(update={"frequency_cap": "1 per 7 days"})
    released(store, capped)
    drained(store, capped)
    reworded(settings)
    second = released(store, capped)
    drained(store, capped)
    assert reasons(store, second) == {"held: had 1 messages in 7 days": 3}


def test_quiet_hours_delay_those_who_sleep_and_nobody_else(store: Store, settings: Settings) -> None:
    night = datetime.fromisoformat("2026-04-21T20:30:00+00:00")  # 22:30 in Rome, 16:30 in New York
    with store.write() as session:
        add(session, "Anna", NOW, time_zone="Europe/Rome")
        add(session, "Beth", NOW, time_zone="America/New_York")
    quiet = settings.model_copy(update={"quiet_hours": "21:00-08:30"})
    made = released(store, quiet, night)
    drained(store, quiet, night)
    with store.read() as session:
        found = ledger.tally_launch(session, made)
    assert found.media["email"] == {"sent": 1, "queued": 1}
    drained(store, quiet, datetime.fromisoformat("2026-04-22T06:29:00+00:00"))
    with store.read() as session:
        assert ledger.tally_launch(session, made).total("queued") == 1
    drained(store, quiet, datetime.fromisoformat("2026-04-22T06:31:00+00:00"))
    with store.read() as session:
        assert ledger.tally_launch(session, made).total("sent") == 2


@pytest.mark.parametrize(
    ("now", "zone", "until"),
    [
        ("2026-04-21T22:00:00+02:00", "Europe/Rome", "2026-04-22T08:30:00+02:00"),
        ("2026-04-21T07:00:00+02:00", "Europe/Rome", "2026-04-21T08:30:00+02:00"),
        ("2026-04-21T12:00:00+02:00", "Europe/Rome", None),
        ("2026-03-28T23:00:00+01:00", "Europe/Rome", "2026-03-29T08:30:00+02:00"),  # the night the clocks go forward
        ("2026-04-21T22:00:00+09:30", "Australia/Darwin", "2026-04-22T08:30:00+09:30"),
    ],
)
def test_quiet_hours_end_on_the_wall_clock(now: str, zone: str, until: str | None) -> None:
    end = quiet_until("21:00-08:30", zone, datetime.fromisoformat(now))
    assert end == (datetime.fromisoformat(until) if until else None)


def test_what_is_too_late_is_held(store: Store, settings: Settings) -> None:
    crowd(store, 2, NOW)
    changed(settings, "steps:", "if late by more than: 6 hours\nsteps:")
    made = released(store, settings, NOW)
    drained(store, settings, NOW + timedelta(hours=7))
    assert reasons(store, made) == {"held: too late: more than 6 hours": 2}


def test_one_contact_who_cannot_be_rendered_fails_alone(store: Store, settings: Settings) -> None:
    crowd(store, 20, NOW)
    with store.write() as session:
        session.get_one(Contact, 7).first_name = None
    made = released(store, settings)
    drained(store, settings)
    with store.read() as session:
        found = ledger.tally_launch(session, made)
    assert (found.total("sent"), found.total("failed")) == (19, 1)
    assert "“first_name” is missing" in next(iter(found.reasons))


def test_a_change_of_content_voids_the_approval(store: Store, settings: Settings) -> None:
    freeze = freezer(settings)
    crowd(store, 1, NOW)
    made = launch.prepare(store, settings, "hello", freeze, actor="t", now=utc_now())
    path = settings.home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace("Dear", "Dearest"))
    with pytest.raises(NotAllowed, match="was changed after"):
        launch.approve(store, settings, made.id or 0, made.hash, freeze, approver="Ada", now=utc_now())
    with pytest.raises(NotAllowed, match="recalled"):
        engine.start_launch(store, settings, made.id or 0, actor="t", now=utc_now())


def test_what_goes_out_is_what_was_approved_whatever_the_files_say_later(store: Store, settings: Settings) -> None:
    crowd(store, 1, NOW)
    released(store, settings)
    path = settings.home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace("Dear", "Dearest"))
    drained(store, settings)
    letters = list((settings.var / "mailbox" / "email" / "new").iterdir())
    assert "Dear" in letters[0].read_text()
    assert "Dearest" not in letters[0].read_text()


def test_the_audience_is_a_snapshot(store: Store, settings: Settings) -> None:
    crowd(store, 3, NOW)
    made = released(store, settings)
    with store.write() as session:
        add(session, "Late", NOW)
    drained(store, settings)
    with store.read() as session:
        assert ledger.tally_launch(session, made).audience == 3


def test_an_approval_expires(store: Store, settings: Settings) -> None:
    crowd(store, 1, NOW)
    made = approved(store, settings)
    with pytest.raises(NotAllowed, match="expired"):
        engine.start_launch(store, settings, made, actor="t", now=utc_now() + timedelta(days=8))


def test_nothing_is_released_without_an_approval(store: Store, settings: Settings) -> None:
    crowd(store, 1, NOW)
    made = launch.prepare(store, settings, "hello", freezer(settings), actor="t", now=utc_now())
    with pytest.raises(NotAllowed, match="must be approved"):
        engine.start_launch(store, settings, made.id or 0, actor="t", now=utc_now())


def test_a_launch_that_a_tick_released_first_is_started_all_the_same(store: Store, settings: Settings) -> None:
    crowd(store, 1, NOW)
    made = approved(store, settings)
    engine.tick(store, settings, actor="a clock", now=utc_now())
    engine.start_launch(store, settings, made, actor="t", now=utc_now())
    with store.read() as session:
        assert session.get_one(Launch, made).state == "running"
        released = select(func.count()).select_from(Audit).where(col(Audit.action) == "released")
        assert session.execute(released).scalar_one() == 1


def test_asking_twice_for_one_occurrence_makes_one_launch(store: Store, settings: Settings) -> None:
    crowd(store, 1, NOW)
    ids = {
        launch.prepare(store, settings, "hello", freezer(settings), actor="t", now=utc_now(), occurrence="prefect:1").id
        for _ in range(3)
    }
    assert len(ids) == 1


def test_a_later_time_is_waited_for(store: Store, settings: Settings) -> None:
    crowd(store, 1, NOW)
    made = approved(store, settings, due_at=utc_now() + timedelta(hours=1))
    engine.start_launch(store, settings, made, actor="t", now=utc_now())
    assert reserve_batch(store, settings, worker="w", now=utc_now()) is None
    engine.tick(store, settings, utc_now() + timedelta(hours=2), actor="t")
    drained(store, settings, utc_now() + timedelta(hours=2))
    with store.read() as session:
        assert ledger.tally_launch(session, made).total("sent") == 1


def test_a_batch_is_claimed_without_writing_its_messages(store: Store, settings: Settings) -> None:
    crowd(store, 5, NOW)
    released(store, settings)
    drained(store, settings)
    with store.read() as session:
        assert {m.state for m in session.execute(select(Message)).scalars()} == {None}


def test_what_a_strange_field_makes_of_a_template_is_this_contacts_alone(store: Store, settings: Settings) -> None:
    template = settings.home / "templates" / "hello" / "email.mjml"
    template.write_text(template.read_text().replace("Dear", '{{ contact.points | default("0") | number }} Dear'))
    with store.write() as session:
        add(session, "Alice", NOW, traits={"points": 12})
        add(session, "Bob", NOW, traits={"points": "n/a"})
    made = released(store, settings)
    drained(store, settings)
    with store.read() as session:
        found = ledger.tally_launch(session, made)
    assert (found.total("sent"), found.total("failed")) == (1, 1)


def test_a_launch_that_cannot_be_prepared_is_paused_and_stops_no_other(store: Store, settings: Settings) -> None:
    crowd(store, 2, NOW)
    broken = released(store, settings)
    with store.write() as session:
        launch_row = session.get_one(Launch, broken)
        launch_row.content = {**launch_row.content, "channels": {"email": "pigeon"}}
    changed(settings, "A greeting", "Another")
    whole = released(store, settings)
    drained(store, settings)
    with store.read() as session:
        assert ledger.tally_launch(session, broken).state == "paused"
        assert "pigeon" in ledger.tally_launch(session, broken).note
        assert ledger.tally_launch(session, whole).total("sent") == 2


def test_waiting_for_approval_is_not_being_late(store: Store, settings: Settings) -> None:
    crowd(store, 2, NOW)
    changed(settings, "steps:", "if late by more than: 6 hours\nsteps:")
    freeze = freezer(settings)
    made = launch.prepare(store, settings, "hello", freeze, actor="t", now=NOW)
    later = NOW + timedelta(hours=10)
    launch.approve(store, settings, made.id or 0, made.hash, freeze, approver="Ada", now=later)
    engine.start_launch(store, settings, made.id or 0, actor="t", now=later)
    drained(store, settings, later + timedelta(minutes=1))
    with store.read() as session:
        assert ledger.tally_launch(session, made.id or 0).total("sent") == 2


def test_a_launch_that_never_started_cannot_be_paused_into_nothing(store: Store, settings: Settings) -> None:
    crowd(store, 2, NOW)
    made = approved(store, settings)
    with pytest.raises(NotAllowed, match="only running ones"):
        ledger.pause_launch(store, made, actor="Ada", now=utc_now())


def test_two_reconciliations_at_once_send_nothing_twice(store: Store, settings: Settings) -> None:
    crowd(store, 3, NOW)
    made = released(store, settings)
    assert reserve_batch(store, settings, worker="gone", now=utc_now()) is not None
    later = utc_now() + timedelta(hours=1)
    assert reconcile._give_up(store, later) == 1
    later += timedelta(hours=1)
    batch = reconcile._unknown_batches(store, later)[0]
    questions = [reconcile._load_attempt(store, batch) for _ in range(2)]
    found = reconcile.ReconcileResult()
    for asked in questions:
        assert asked
        attempt, dispatch, _ = asked
        nothing_there = Evidence(absent=frozenset(m.id for m in dispatch.messages))
        reconcile._apply_evidence(store, batch, attempt, dispatch, nothing_there, later, found)
        drained(store, settings, later)
    assert (found.absent, found.accepted) == (3, 0)
    assert len(list((settings.var / "mailbox" / "email" / "new").iterdir())) == 3
    with store.read() as session:
        assert ledger.tally_launch(session, made).total("sent") == 3


def test_what_a_late_worker_heard_is_not_what_its_successor_heard(store: Store, settings: Settings) -> None:
    crowd(store, 3, NOW)
    released(store, settings)
    first = reserve_batch(store, settings, worker="frozen", now=utc_now())
    assert first
    with store.write() as session:
        session.execute(update(Batch).values(state="queued"))
    second = reserve_batch(store, settings, worker="successor", now=utc_now())
    assert second
    assert second.fence > first.fence
    assert record_outcome(store, first, SendResult(receipt="late"), utc_now()) == "late: accepted"
    with store.read() as session:
        assert session.execute(select(col(Batch.state))).scalar_one() == "sending"
    assert record_outcome(store, second, Uncertain("lost"), utc_now()) == "unknown"
    with store.read() as session:
        assert session.execute(select(col(Batch.state))).scalar_one() == "unknown"


def test_what_was_put_off_is_not_taken_before_its_time(store: Store, settings: Settings) -> None:
    crowd(store, 3, NOW)
    released(store, settings)
    held = reserve_batch(store, settings, worker="w", now=utc_now())
    assert held
    record_outcome(store, held, Unavailable("later", after=60), utc_now())
    assert reserve_batch(store, settings, worker="w", now=utc_now()) is None
    assert reserve_batch(store, settings, worker="w", now=utc_now() + timedelta(minutes=2)) is not None


def test_a_recall_while_a_worker_holds_a_batch_loses_and_doubles_nobody(store: Store, settings: Settings) -> None:
    crowd(store, 3, NOW)
    made = released(store, settings)
    held = reserve_batch(store, settings, worker="w", now=utc_now())
    assert held
    ledger.recall_launch(store, made, actor="Ada", now=utc_now())
    record_outcome(store, held, Unavailable("later", after=1), utc_now())
    drained(store, settings, utc_now() + timedelta(hours=1))
    assert reasons(store, made) == {"held: the launch was recalled": 3}


def test_why_tells_the_story(store: Store, settings: Settings) -> None:
    people = cast(store, NOW)
    made = released(store, settings)
    drained(store, settings)
    with store.read() as session:
        alice = [what for _, what in story.tell_story(session, made, people["Alice"], "Europe/Rome").sentences]
        bob = [what for _, what in story.tell_story(session, made, people["Bob"], "Europe/Rome").sentences]
        franz = [what for _, what in story.tell_story(session, made, people["Franz"], "Europe/Rome").sentences]
    assert alice[-1] == "email: sent"
    assert any("attempt 1 by mailbox" in what for what in alice)
    assert bob[-1] == "email: held because: said no to newsletter by email"
    assert franz == ["was not in the audience when the launch was prepared"]


def test_a_token_opens_one_purpose_only_and_none_when_touched() -> None:
    links = Links("secret", "https://shop.example")
    token = links.sign("unsubscribe", "12-0-email")
    assert links.read("unsubscribe", token) == "12-0-email"
    assert links.read("click", token) is None
    assert Links("another", "").read("unsubscribe", token) is None
    for place in range(len(token)):
        touched = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        found = links.read("unsubscribe", touched)
        assert found is None or found == "12-0-email"  # the last character of base64 carries bits that nobody reads
    assert MessageId.parse("12-0-email") == (12, 0, "email")
    assert MessageId.parse("x-0-email") is None
