"""Journeys: one leap or a thousand ticks say the same; who leaves is not written to; nobody enters twice."""

import itertools
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlmodel import col

from passaparola import engine
from passaparola.channel.sender import SendResult
from passaparola.contacts import activity, consent
from passaparola.contacts.bucketing import bucket, in_share
from passaparola.errors import NotAllowed
from passaparola.journeys import launch, versions
from passaparola.outbox import ledger
from passaparola.outbox.claim import reserve_batch
from passaparola.outbox.record import record_outcome
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Address, Batch, Contact, Enrolment, Event, Launch, Message
from tests.people import add

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUSE = ("one", "two", "three", "four")


def plan(settings: Settings, name: str = "drip", **fields: Any) -> None:
    """A campaign of the house, with letters that say nothing in particular."""
    given = {"title": "A drip", "topic": "newsletter", **fields}
    (settings.home / "campaigns" / f"{name}.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
    for message in HOUSE:
        folder = settings.home / "templates" / message
        folder.mkdir(exist_ok=True)
        (folder / "email.mjml").write_text(
            f"---\nsubject: {message}\n---\n<mj-section><mj-column><mj-text>{message}</mj-text></mj-column></mj-section>"
        )


def started(store: Store, settings: Settings, now: datetime = START, name: str = "drip") -> int:
    freeze = freezer(settings)
    made = launch.prepare(store, settings, name, freeze, actor="t", now=now)
    launch.approve(store, settings, made.id or 0, made.hash, freeze, approver="Ada", now=now)
    engine.start_launch(store, settings, made.id or 0, actor="t", now=now)
    return made.id or 0


def tick(store: Store, settings: Settings, now: datetime) -> Counter[str]:
    moved = engine.tick(store, settings, now, actor="t").moved
    while reserved := reserve_batch(store, settings, worker="t", now=now):
        record_outcome(store, reserved, SendResult(), now)
    return moved


def does(
    store: Store, contact: int, kind: str, at: datetime, received_at: datetime | None = None, **properties: Any
) -> None:
    with store.write() as session:
        count = session.execute(select(func.count()).select_from(Event)).scalar_one()
        session.add(
            Event(contact_id=contact, kind=kind, at=at, received_at=received_at or at, source="t", source_id=f"{count}",
                  properties=properties)
        )  # fmt: skip
        session.flush()
        activity.refresh(session, "EUR", [contact])


def said(store: Store, contact: int | None = None) -> list[str]:
    """What went out, in order, as message names."""
    with store.read() as session:
        sent = (
            select(Launch.content, col(Message.step), col(Batch.finished_at))
            .join(Enrolment, col(Enrolment.launch_id) == col(Launch.id))
            .join(Message, col(Message.enrolment_id) == col(Enrolment.id))
            .join(Batch, col(Batch.id) == col(Message.batch_id))
            .where(col(Message.state).is_(None), col(Batch.state) == "sent")
            .order_by(col(Batch.finished_at), col(Message.step), col(Enrolment.id))
        )
        sent = sent.where(col(Enrolment.contact_id) == contact) if contact else sent
        return [content["steps"][step]["say"] for content, step, _ in session.execute(sent)]


def people(store: Store, *zones: str) -> list[int]:
    with store.write() as session:
        return [add(session, f"P{n}", START, time_zone=zone, country="IT") for n, zone in enumerate(zones)]


DRIP = [
    {"say": "one", "by": ["email"]},
    {"wait": "2 days", "at": "10:00"},
    {"say": "two", "by": ["email"]},
    {"wait": "until Saturday", "at": "09:30"},
    {"say": "three", "by": ["email"]},
]
waits = st.sampled_from(
    [{"wait": "3 hours"}, {"wait": "2 days", "at": "10:00"}, {"wait": "until Saturday"}, {"wait": "until 09:15"},
     {"wait": "until the next working day", "at": "10:00"}, {"wait for": "survey_answered", "up to": "5 days"}]
)  # fmt: skip
when = st.sampled_from([None, 'country = "IT"', 'country = "FR"', "never survey_answered"])
shapes = st.tuples(waits, waits, when, when)
answers = st.lists(st.integers(1, 9 * 24 * 60), max_size=2)
distinct = itertools.count()


@trying(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(shape=shapes, answered=answers, ticks=st.sampled_from([23, 61]))
def test_one_leap_gives_the_same_messages_as_many_small_ticks(
    store: Store, settings: Settings, shape: Any, answered: list[int], ticks: int
) -> None:
    first, second, if_two, if_three = shape
    steps: list[dict[str, Any]] = [{"say": "one", "by": ["email"]}, first, {"say": "two", "by": ["email"]}, second]
    steps += [{"say": "three", "by": ["email"]}]
    steps[2] |= {"when": if_two} if if_two and "survey" not in if_two else {}
    steps[4] |= {"when": if_three} if if_three and "survey" not in if_three else {}
    outcomes = []
    for stops in (1, ticks):
        with store.write() as session:
            for table in (Message, Batch, Enrolment):
                session.execute(table.__table__.delete())  # type: ignore[attr-defined]
            session.execute(Event.__table__.delete())  # type: ignore[attr-defined]
        name = f"drip{next(distinct)}"
        plan(settings, name, enter={"on": "signed_up", "again": "always"}, steps=steps)
        with store.write() as session:
            who = list(session.execute(select(col(Contact.id)).order_by(col(Contact.id))).scalars())
        ids = [id_ for id_ in who if id_] or people(store, "Europe/Rome", "Asia/Kolkata", "Australia/Lord_Howe")
        started(store, settings, name=name)
        end = START + timedelta(days=60)
        for id_ in ids:
            does(store, id_, "signed_up", START + timedelta(minutes=id_))
            for minutes in answered:
                does(store, id_, "survey_answered", START + timedelta(minutes=minutes), received_at=START)
        for n in range(1, stops + 1):
            engine.tick(store, settings, START + (end - START) * n / stops, actor="t")
        with store.read() as session:
            planned = select(col(Enrolment.contact_id), col(Message.step)).join(
                Message, col(Message.enrolment_id) == col(Enrolment.id)
            )
            outcomes.append(Counter((contact, step) for contact, step in session.execute(planned)))
    assert outcomes[0] == outcomes[1]


def test_a_drip_keeps_to_each_contacts_own_clock(store: Store, settings: Settings) -> None:
    rome, kolkata, apia = people(store, "Europe/Rome", "Asia/Kolkata", "Pacific/Apia")
    plan(settings, enter={"audience": "readers"}, steps=DRIP)
    made = started(store, settings)
    for half in range(2 * 24 * 7):
        tick(store, settings, START + timedelta(hours=half / 2))
    assert [said(store, who) for who in (rome, kolkata, apia)] == [["one", "two", "three"]] * 3
    with store.read() as session:
        times = select(col(Enrolment.contact_id), col(Batch.finished_at)).join(
            Message, col(Message.enrolment_id) == col(Enrolment.id)
        )
        rows = session.execute(
            times.join(Batch, col(Batch.id) == col(Message.batch_id)).where(col(Message.step) == 2)
        ).all()
        at = {contact: f"{moment:%d %H:%M}" for contact, moment in rows}
        assert at == {rome: "04 09:00", kolkata: "04 04:30", apia: "03 21:00"}
        assert session.get(Launch, made).state == "running"  # type: ignore[union-attr]


def test_the_publics_posts_walk_by_the_houses_clock(store: Store, settings: Settings) -> None:
    people(store, "Europe/Rome", "Asia/Kolkata")
    plan(settings, enter={"audience": "readers"}, steps=DRIP)
    made = started(store, settings)
    with store.write() as session:
        session.add(Enrolment(launch_id=made, due_at=START, entered_at=START))
        session.flush()
        session.execute(update(Enrolment).values(step=2, due_at=START))
    tick(store, settings, START)
    with store.read() as session:
        assert list(session.execute(select(col(Enrolment.step))).scalars()) == [4, 4, 4]


def test_a_refund_ends_the_passage_of_its_own_order_only(store: Store, settings: Settings) -> None:
    (anna,) = people(store, "Europe/Rome")
    plan(settings, enter={"on": "order_completed", "key": "order_id"}, leave={"on": "order_refunded"},
         steps=[{"say": "one", "by": ["email"]}, {"wait": "3 days"}, {"say": "two", "by": ["email"]}])  # fmt: skip
    started(store, settings)
    for order in ("A", "B"):
        does(store, anna, "order_completed", START + timedelta(minutes=5), order_id=order)
    tick(store, settings, START + timedelta(minutes=6))
    does(store, anna, "order_refunded", START + timedelta(days=1), order_id="A")
    tick(store, settings, START + timedelta(days=1))
    tick(store, settings, START + timedelta(days=4))
    assert said(store, anna) == ["one", "one", "two"]


def test_a_refund_that_comes_before_its_order_keeps_the_thanks_unsaid(store: Store, settings: Settings) -> None:
    (anna,) = people(store, "Europe/Rome")
    plan(settings, enter={"on": "order_completed", "key": "order_id"}, leave={"on": "order_refunded"}, steps=DRIP)
    started(store, settings)
    does(store, anna, "order_refunded", START + timedelta(minutes=9), order_id="A")
    tick(store, settings, START + timedelta(minutes=10))
    does(
        store,
        anna,
        "order_completed",
        START + timedelta(minutes=1),
        received_at=START + timedelta(minutes=12),
        order_id="A",
    )
    tick(store, settings, START + timedelta(minutes=13))
    tick(store, settings, START + timedelta(days=30))
    assert said(store, anna) == []


def test_who_leaves_while_a_letter_waits_for_the_morning_does_not_get_it(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (anna,) = people(store, "Europe/Rome")
    plan(settings, enter={"on": "order_completed", "key": "order_id"}, leave={"on": "order_refunded"}, steps=DRIP)
    started(store, settings)
    quiet = settings.model_copy(update={"quiet_hours": "21:00-08:30"})
    night = START.replace(hour=22)
    does(store, anna, "order_completed", night, order_id="A")
    tick(store, quiet, night + timedelta(minutes=1))
    with store.read() as session:
        assert ledger.tally_launch(session, 1).delayed == {"quiet hours": 1}
    does(store, anna, "order_refunded", night + timedelta(hours=1), order_id="A")
    tick(store, quiet, night + timedelta(hours=12))
    assert said(store, anna) == []
    with store.read() as session:
        assert ledger.tally_launch(session, 1).reasons == {"held: left the campaign before it went out": 1}


def test_one_event_told_many_times_and_ticked_by_many_enters_once(store: Store, settings: Settings) -> None:
    who = people(store, *["Europe/Rome"] * 20)
    plan(settings, enter={"on": "order_completed", "key": "order_id"}, steps=DRIP)
    started(store, settings)
    for id_ in who:
        for _ in range(3):
            does(store, id_, "order_completed", START + timedelta(minutes=1), order_id=f"A{id_}")
    now = START + timedelta(minutes=2)
    clocks = [
        threading.Thread(target=engine.tick, args=(store, settings, now), kwargs={"actor": "t"}) for _ in range(4)
    ]
    for clock in clocks:
        clock.start()
    for clock in clocks:
        clock.join()
    tick(store, settings, now)
    assert said(store) == ["one"] * 20


def test_a_scheduled_campaign_is_launched_once_per_occurrence_whoever_triggers_it(
    store: Store, settings: Settings
) -> None:
    people(store, "Europe/Rome")
    plan(
        settings,
        enter={"audience": "readers", "every": "Tuesday at 10:00", "again": "always"},
        steps=[{"say": "one", "by": ["email"]}],
    )
    started(store, settings)
    now = START + timedelta(days=1, hours=1, minutes=30)  # Tuesday, 10:30 in Rome
    clocks = [
        threading.Thread(target=engine.tick, args=(store, settings, now), kwargs={"actor": "t"}) for _ in range(6)
    ]
    for clock in clocks:
        clock.start()
    for clock in clocks:
        clock.join()
    for _ in range(3):
        tick(store, settings, now)
    with store.read() as session:
        names = list(
            session.execute(select(col(Launch.occurrence)).where(col(Launch.occurrence).is_not(None))).scalars()
        )
    assert names == ["drip@2026-03-03T10:00[Europe/Rome]"]
    assert said(store) == ["one"]


def test_after_a_stillness_one_occurrence_is_made_up_for_and_the_others_are_written_down(
    store: Store, settings: Settings
) -> None:
    people(store, "Europe/Rome")
    plan(
        settings,
        enter={"audience": "readers", "every": "day at 10:00", "again": "always"},
        steps=[{"say": "one", "by": ["email"]}],
    )
    started(store, settings)
    tick(store, settings, START + timedelta(days=5, hours=3))
    assert said(store) == ["one"]


def test_what_is_too_late_is_held_and_the_journey_goes_on(store: Store, settings: Settings) -> None:
    (anna,) = people(store, "Europe/Rome")
    plan(settings, **{"if late by more than": "6 hours"}, enter={"on": "signed_up"}, steps=DRIP)
    made = started(store, settings)
    does(store, anna, "signed_up", START + timedelta(minutes=1))
    tick(store, settings, START + timedelta(hours=7))
    for day in range(1, 14):
        tick(store, settings, (START + timedelta(days=day)).replace(hour=9))
    assert said(store, anna) == ["two", "three"]
    with store.read() as session:
        assert ledger.tally_launch(session, made).reasons == {"held: too late: more than 6 hours": 1}


def test_after_a_long_stillness_letters_keep_their_distance(store: Store, settings: Settings) -> None:
    (anna,) = people(store, "Europe/Rome")
    plan(settings, enter={"on": "signed_up"}, steps=DRIP)
    started(store, settings)
    does(store, anna, "signed_up", START + timedelta(minutes=1))
    back = START + timedelta(days=30)
    tick(store, settings, back)
    assert said(store, anna) == ["one"]
    tick(store, settings, back + timedelta(days=1))
    assert said(store, anna) == ["one"]
    tick(store, settings, back + timedelta(days=6))
    assert said(store, anna) == ["one", "two", "three"]


def test_what_is_waited_for_moves_on_at_once_and_patience_ends(store: Store, settings: Settings) -> None:
    anna, ben = people(store, "Europe/Rome", "Europe/Rome")
    plan(settings, enter={"on": "signed_up"}, steps=[
        {"say": "one", "by": ["email"]}, {"wait for": "survey_answered", "up to": "5 days"},
        {"say": "two", "by": ["email"], "when": "survey_answered with score >= 9"},
        {"say": "three", "by": ["email"], "when": "never survey_answered"}])  # fmt: skip
    started(store, settings)
    for who in (anna, ben):
        does(store, who, "signed_up", START)
    tick(store, settings, START + timedelta(minutes=1))
    does(store, anna, "survey_answered", START + timedelta(hours=1), score=9.0)
    tick(store, settings, START + timedelta(hours=1, minutes=1))
    assert (said(store, anna), said(store, ben)) == (["one", "two"], ["one"])
    tick(store, settings, START + timedelta(days=5, minutes=1))
    assert (said(store, anna), said(store, ben)) == (["one", "two"], ["one", "three"])


def test_the_held_out_walk_along_and_are_never_written_to(store: Store, settings: Settings) -> None:
    who = people(store, *["Europe/Rome"] * 200)
    plan(
        settings,
        holdout="50%",
        goal={"on": "order_completed", "within": "30 days"},
        enter={"audience": "readers"},
        steps=DRIP,
    )
    made = started(store, settings)
    tick(store, settings, START)
    with store.read() as session:
        out = set(session.execute(select(col(Enrolment.contact_id)).where(col(Enrolment.holdout))).scalars())
        alone = set(
            session.execute(select(col(Contact.id)).where(in_share(col(Contact.id), "holdout of drip", 0.5))).scalars()
        )
    assert out == alone
    assert 70 < len(out) < 130
    assert len(said(store)) == len(who) - len(out)
    for id_ in who[:3]:
        does(store, id_, "order_completed", START + timedelta(days=1))
    tick(store, settings, START + timedelta(days=1))
    with store.read() as session:
        reached = select(func.count()).where(col(Enrolment.launch_id) == made, col(Enrolment.goal_at).is_not(None))
        assert session.execute(reached).scalar_one() == 3


def test_chance_is_the_same_in_sql_and_in_python_and_fair(store: Store) -> None:
    with store.write() as session:
        ids = [add(session, f"C{n}", START) for n in range(400)]
        asked = select(col(Contact.id), bucket(col(Contact.id), "x")).order_by(col(Contact.id))
        assert dict(session.execute(asked).all()) == {id_: bucket(id_, "x") for id_ in ids}
    for purpose in ("holdout of a", "holdout of b", "variant of c"):
        tenths = Counter(bucket(id_, purpose) // 1000 for id_ in range(1, 100_001))
        assert all(9_500 < count < 10_500 for count in tenths.values()), (purpose, tenths)
    both = sum(bucket(n, "holdout of a") < 5000 and bucket(n, "holdout of b") < 5000 for n in range(1, 40_001))
    assert 9_500 < both < 10_500  # one campaign's draw says nothing about another's


def test_variants_share_people_and_stay_theirs(store: Store, settings: Settings) -> None:
    people(store, *["Europe/Rome"] * 100)
    steps = [{"say": "one", "by": ["email"], "variants": {"a": 50, "b": 50}}]
    plan(settings, enter={"audience": "readers"}, steps=steps)
    other = settings.home / "templates" / "one" / "b"
    other.mkdir()
    (other / "email.mjml").write_text(
        "---\nsubject: b\n---\n<mj-section><mj-column><mj-text>b</mj-text></mj-column></mj-section>"
    )
    started(store, settings)
    with store.read() as session:
        sizes = dict(
            session.execute(select(col(Batch.variant), func.sum(col(Batch.size))).group_by(col(Batch.variant))).all()
        )
    assert sum(sizes.values()) == 100
    assert 30 < sizes["a"] < 70


def test_a_capped_person_gets_the_campaign_that_goes_first(store: Store, settings: Settings) -> None:
    (anna,) = people(store, "Europe/Rome")
    capped = settings.model_copy(update={"frequency_cap": "1 per 7 days"})
    plan(settings, "sale", enter={"audience": "readers"}, priority="low", steps=[{"say": "one", "by": ["email"]}])
    plan(settings, "care", enter={"audience": "readers"}, priority="high", steps=[{"say": "two", "by": ["email"]}])
    started(store, capped, name="sale")  # ready first, and goes second
    started(store, capped, name="care")
    tick(store, capped, START)
    assert said(store, anna) == ["two"]
    with store.read() as session:
        assert ledger.tally_launch(session, 1).reasons == {"held: had 1 messages in 7 days": 1}


def test_who_is_in_finishes_the_version_that_they_entered_or_is_moved_and_it_is_said_where_to(
    store: Store, settings: Settings
) -> None:
    anna, ben = people(store, "Europe/Rome", "Europe/Rome")
    plan(settings, enter={"on": "signed_up"}, steps=DRIP)
    old = started(store, settings)
    does(store, anna, "signed_up", START)
    tick(store, settings, START + timedelta(minutes=1))
    with pytest.raises(NotAllowed, match="already stands"):
        started(store, settings, START + timedelta(hours=1))
    plan(
        settings,
        enter={"on": "signed_up"},
        steps=[*DRIP[:2], {"say": "four", "by": ["email"]}, {"wait": "1 day"}, DRIP[2]],
    )
    new = started(store, settings, START + timedelta(hours=1))
    does(store, ben, "signed_up", START + timedelta(hours=2))
    tick(store, settings, START + timedelta(hours=3))
    with store.read() as session:
        planned = versions.plan_move(session, "drip")
        assert [(p["launch"], p["people"], p["to_step"]) for p in planned.parts] == [(old, 1, 4)]
    moved = versions.move_enrolments(store, "drip", actor="t", now=START + timedelta(hours=4))
    assert (moved.to, moved.people) == (new, 1)
    for day in range(1, 20):
        tick(store, settings, (START + timedelta(days=day)).replace(hour=9, minute=1))
    assert said(store, anna) == ["one", "two"]
    assert said(store, ben) == ["one", "four", "two"]


def test_a_stopped_campaign_takes_nobody_in_and_lets_those_inside_finish(store: Store, settings: Settings) -> None:
    anna, ben = people(store, "Europe/Rome", "Europe/Rome")
    plan(settings, enter={"on": "signed_up"}, steps=DRIP)
    started(store, settings)
    does(store, anna, "signed_up", START)
    tick(store, settings, START + timedelta(minutes=1))
    launch.stop_accepting(store, "drip", actor="t", now=START + timedelta(minutes=2))
    does(store, ben, "signed_up", START + timedelta(minutes=3))
    for day in range(20):
        tick(store, settings, START + timedelta(days=day, hours=2))
    assert (said(store, anna), said(store, ben)) == (["one", "two", "three"], [])


def test_purchases_from_before_the_start_are_not_followed_up(store: Store, settings: Settings) -> None:
    (anna,) = people(store, "Europe/Rome")
    plan(settings, enter={"on": "order_completed", "key": "order_id"}, steps=DRIP)
    started(store, settings)
    does(
        store,
        anna,
        "order_completed",
        START - timedelta(days=1),
        received_at=START + timedelta(minutes=1),
        order_id="old",
    )
    tick(store, settings, START + timedelta(minutes=2))
    assert said(store, anna) == []


@pytest.mark.parametrize("rule", ["always", "after 7 days"])
def test_who_may_come_again_does_and_one_event_never_counts_twice(store: Store, settings: Settings, rule: str) -> None:
    (anna,) = people(store, "Europe/Rome")
    plan(settings, enter={"on": "signed_up", "again": rule}, steps=[{"say": "one", "by": ["email"]}])
    started(store, settings)
    does(store, anna, "signed_up", START + timedelta(minutes=1))
    for minute in range(2, 15, 3):
        tick(store, settings, START + timedelta(minutes=minute))
    assert said(store, anna) == ["one"]
    does(store, anna, "signed_up", START + timedelta(days=10))
    for minute in range(1, 15, 3):
        tick(store, settings, START + timedelta(days=10, minutes=minute))
    assert said(store, anna) == ["one", "one"]


def test_one_campaign_that_cannot_be_advanced_is_paused_and_stops_no_other(store: Store, settings: Settings) -> None:
    (anna,) = people(store, "Europe/Rome")
    plan(
        settings,
        "broken",
        enter={"on": "signed_up"},
        priority="high",
        steps=[{"say": "one", "by": ["email"], "when": 'country = "IT"'}],
    )
    plan(settings, "sound", enter={"on": "signed_up"}, steps=[{"say": "two", "by": ["email"]}])
    first = started(store, settings, name="broken")
    started(store, settings, name="sound")
    with store.write() as session:
        launch_ = session.get(Launch, first)
        assert launch_
        steps = [{"say": "one", "by": ["email"], "when": 'planet = "Mars"'}]
        launch_.content = {**launch_.content, "steps": steps}
    does(store, anna, "signed_up", START + timedelta(minutes=1))
    tick(store, settings, START + timedelta(minutes=2))
    assert said(store, anna) == ["two"]
    with store.read() as session:
        note = session.get(Launch, first).note  # type: ignore[union-attr]
    assert "“planet” is not a trait" in note


def test_one_who_comes_late_delays_nobody_who_is_on_time(store: Store, settings: Settings) -> None:
    alice, berta = people(store, "Europe/Rome", "Europe/Rome")
    plan(
        settings,
        enter={"on": "signed_up"},
        steps=[{"say": "one", "by": ["email"]}, {"wait": "2 days"}, {"say": "two", "by": ["email"]}],
    )
    started(store, settings)
    does(store, alice, "signed_up", START + timedelta(minutes=1))
    tick(store, settings, START + timedelta(minutes=1))
    now = START + timedelta(days=2, minutes=1)
    does(store, berta, "signed_up", START, received_at=now)
    tick(store, settings, now)
    assert (said(store, alice), said(store, berta)) == (["one", "two"], ["one"])


def test_who_leaves_after_the_last_step_was_planned_does_not_get_it(store: Store, settings: Settings) -> None:
    (anna,) = people(store, "Europe/Rome")
    quiet = settings.model_copy(update={"quiet_hours": "21:00-08:30"})
    plan(
        settings,
        enter={"on": "checkout_started"},
        leave={"on": "order_completed"},
        steps=[{"say": "one", "by": ["email"]}],
    )
    started(store, settings)
    night = START.replace(hour=22)
    does(store, anna, "checkout_started", night)
    tick(store, quiet, night + timedelta(minutes=1))
    does(store, anna, "order_completed", night + timedelta(hours=1))
    tick(store, quiet, night + timedelta(hours=12))
    assert said(store, anna) == []


def test_nobody_falls_between_two_versions(store: Store, settings: Settings) -> None:
    (anna,) = people(store, "Europe/Rome")
    plan(settings, enter={"on": "order_completed", "key": "order_id"}, steps=[{"say": "one", "by": ["email"]}])
    started(store, settings)
    plan(settings, enter={"on": "order_completed", "key": "order_id"}, steps=[{"say": "two", "by": ["email"]}])
    started(store, settings, START + timedelta(hours=2))
    does(
        store,
        anna,
        "order_completed",
        START + timedelta(minutes=119),
        received_at=START + timedelta(minutes=121),
        order_id="A",
    )
    tick(store, settings, START + timedelta(minutes=122))
    assert said(store, anna) == ["two"]


def test_a_number_is_a_key_like_any_other(store: Store, settings: Settings) -> None:
    (anna,) = people(store, "Europe/Rome")
    plan(settings, enter={"on": "order_completed", "key": "booking"}, leave={"on": "order_cancelled"},
         steps=[{"say": "one", "by": ["email"]}, {"wait": "1 day"}, {"say": "two", "by": ["email"]}])  # fmt: skip
    started(store, settings)
    for booking in (17, 17, 18):
        does(store, anna, "order_completed", START + timedelta(minutes=1), booking=booking)
    tick(store, settings, START + timedelta(minutes=2))
    does(store, anna, "order_cancelled", START + timedelta(hours=1), booking=17)
    tick(store, settings, START + timedelta(days=2))
    assert said(store, anna) == ["one", "one", "two"]


@pytest.mark.parametrize("what", ["said no", "erased", "suppressed", "address gone"])
def test_a_no_in_the_middle_of_a_journey_is_heard_before_the_next_letter(
    store: Store, settings: Settings, what: str
) -> None:
    anna, ben = people(store, "Europe/Rome", "Europe/Rome")
    plan(settings, enter={"audience": "readers"}, steps=DRIP)
    started(store, settings)
    tick(store, settings, START)
    with store.write() as session:
        now = START + timedelta(days=1)
        match what:
            case "said no":
                consent.record(session, anna, "email", "newsletter", False, at=now, source="t")
            case "erased":
                session.get(Contact, anna).erased_at = now  # type: ignore[union-attr]
            case "suppressed":
                key = session.execute(select(col(Address.key)).where(col(Address.contact_id) == anna)).scalar_one()
                consent.suppress(session, "email", key, "complaint", at=now, source="t")
            case _:
                session.execute(Address.__table__.delete().where(col(Address.contact_id) == anna))  # type: ignore[attr-defined]
    for day in range(2, 14):
        tick(store, settings, (START + timedelta(days=day)).replace(hour=9))
    assert (said(store, anna), said(store, ben)) == (["one"], ["one", "two", "three"])


def test_a_change_of_audience_or_words_in_the_middle_changes_nobody_s_journey(store: Store, settings: Settings) -> None:
    anna, ben = people(store, "Europe/Rome", "Europe/Rome")
    plan(settings, enter={"audience": "readers"}, steps=[{**DRIP[0], "when": "in audience readers"}, *DRIP[1:]])
    started(store, settings, START - timedelta(hours=1))
    (settings.home / "audiences" / "readers.yaml").write_text('title: R\nwho: country = "FR"\n')
    (settings.home / "templates" / "two" / "email.mjml").write_text("nothing that compiles {{")
    with store.write() as session:
        late = [add(session, "Late", START)]
    for day in range(14):
        tick(store, settings, (START + timedelta(days=day)).replace(hour=9))
    assert [said(store, who) for who in (anna, ben, *late)] == [["one", "two", "three"]] * 2 + [[]]
