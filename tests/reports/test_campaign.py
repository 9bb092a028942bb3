"""Figures that say how sure they are, and count people, never machines."""

import json
import math
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as quick
from hypothesis import strategies as st
from scipy import stats
from sqlalchemy import delete, select, update
from sqlmodel import col

from passaparola.contacts import activity, lifecycle
from passaparola.conversations.care import CarePolicy
from passaparola.outbox import ledger
from passaparola.reports import campaign, figures, people, statistics
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Address, Batch, Contact, Enrolment, Event
from tests.conftest import NOW
from tests.outbox.test_guards import drained, released
from tests.people import add, crowd


@quick(max_examples=200, deadline=None)
@given(st.integers(0, 500), st.integers(1, 500))
def test_a_share_is_as_sure_as_scipy_says(hits: int, more: int) -> None:
    of = hits + more
    found, wanted = statistics.share_interval(hits, of), stats.binomtest(hits, of).proportion_ci(method="wilson")
    assert math.isclose(found.low, wanted.low, abs_tol=1e-9)
    assert math.isclose(found.high, wanted.high, abs_tol=1e-9)


@quick(max_examples=100, deadline=None)
@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_a_difference_is_as_sure_as_newcombe_says(a: int, b: int, c: int, d: int) -> None:
    one, two = a + b + 1, c + d + 1
    found = statistics.difference_interval(a, one, c, two)
    # Newcombe's tenth method, from scipy's Wilson intervals.
    p, q = (
        stats.binomtest(a, one).proportion_ci(method="wilson"),
        stats.binomtest(c, two).proportion_ci(method="wilson"),
    )
    gap = a / one - c / two
    assert math.isclose(found.low, gap - math.hypot(a / one - p.low, q.high - c / two), abs_tol=1e-9)
    assert math.isclose(found.high, gap + math.hypot(p.high - a / one, c / two - q.low), abs_tol=1e-9)
    assert found.low <= found.value <= found.high


def test_nothing_is_certain_of_nobody() -> None:
    assert not statistics.difference_interval(0, 0, 1, 10).is_certain
    assert statistics.share_interval(0, 0) == statistics.Interval(0.0, 0.0, 1.0)
    assert not statistics.mean_difference_interval(1, 5, 25, 9, 5, 25).is_certain


def happened(session: Any, contact: int, kind: str, at: datetime, enrolment: int | None = None, **more: Any) -> None:
    number = f"{contact}-{kind}-{at}-{more}"
    session.add(
        Event(contact_id=contact, kind=kind, at=at, received_at=at, source="t", source_id=number, enrolment_id=enrolment, step=0 if enrolment else None,
              medium="email" if enrolment else None, **{"properties": {}, **more})
    )  # fmt: skip


def test_a_funnel_counts_each_person_once_and_machines_apart(store: Store, settings: Settings) -> None:
    with store.write() as session:
        for name in ("Alice", "Bob", "Carla", "Dario"):
            add(session, name, NOW)
    made = released(store, settings, NOW)
    drained(store, settings)
    with store.write() as session:
        session.execute(update(Batch).values(finished_at=NOW))
        session.execute(update(Enrolment).values(entered_at=NOW))
        enrolments = {e.contact_id: e.id for e in session.execute(select(Enrolment)).scalars()}
        for contact, enrolment in enrolments.items():
            happened(session, contact, "delivered", NOW, enrolment)
        for hour in (1, 2, 3):
            happened(session, 1, "opened", NOW + timedelta(hours=hour), enrolments[1])
        happened(session, 2, "opened", NOW, enrolments[2], machine=True)
        happened(session, 1, "clicked", NOW + timedelta(hours=3), enrolments[1])
        happened(session, 3, "clicked", NOW, enrolments[3], machine=True)
        happened(session, 1, "order_completed", NOW + timedelta(days=2), amount=5000, currency="EUR")
        happened(session, 1, "order_completed", NOW + timedelta(days=20), amount=700, currency="EUR")
        happened(
            session, 3, "order_completed", NOW + timedelta(days=2), amount=900, currency="EUR"
        )  # a machine's click earns nothing
    own = settings.model_copy(update={"cost_per_message": "email 0.5"})
    with store.read() as session:
        found = campaign.build_report(session, own, "hello")
        counts = found.media["email"]
        assert (counts.planned, counts.sent, counts.delivered, counts.opened, counts.clicked) == (4, 4, 4, 1, 1)
        assert (counts.machine_opened, counts.machine_clicked) == (1, 1)
        assert (found.last_touch, found.orders, found.cost, found.roi) == (5000, 1, 2.0, 24.0)
        assert found.media["email"].sent == ledger.tally_launch(session, made).total("sent")
        assert campaign.build_report(session, own, "hello", made).as_json()["rates"]["email"]["clicked"][0] == 0.25


FACTS_OF_A_LAUNCH = {
    "a bad list": (["delivered"] * 40 + ["bounced"] * 60, (40, True), {"bounced": (60, 100), "clicked": (0, 40)}),
    "the first minutes": (["clicked"] * 3 + ["opened"] * 2 + ["delivered"], (1, True), {"clicked": (3, 6), "opened": (2, 6)}),
    "clicks before any delivery is told": (["clicked"] * 5, (0, False), {"clicked": (5, 100)}),
    "nothing but bounces": (["bounced"] * 100, (0, True), {"bounced": (100, 100), "opened": (0, 0)}),
    "a channel that tells nothing": ([], (0, False), {"bounced": (0, 100), "clicked": (0, 100)}),
    "bounces by mail alone": (["bounced"] * 7, (0, False), {"bounced": (7, 100), "opened": (0, 100)}),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTS_OF_A_LAUNCH)
def test_every_share_has_a_base_that_fits(name: str, store: Store, settings: Settings) -> None:
    kinds, (delivered, told), wanted = FACTS_OF_A_LAUNCH[name]
    crowd(store, 100, NOW)
    released(store, settings, NOW)
    drained(store, settings)
    with store.write() as session:
        rows = list(session.execute(select(col(Enrolment.contact_id), col(Enrolment.id)).order_by(col(Enrolment.id))))
        for (contact, enrolment), kind in zip(rows, kinds, strict=False):
            happened(session, contact, kind, NOW + timedelta(minutes=1), enrolment)
    with store.read() as session:
        found = campaign.build_report(session, settings, "hello")
    counts, said = found.media["email"], found.as_json()
    assert (counts.delivered, counts.reports_delivery) == (delivered, told)
    assert said["media"]["email"]["delivered"] == (delivered if told else None)
    assert {stage: (getattr(counts, stage), counts.base(stage)) for stage in wanted} == wanted
    assert all(0 <= rate.low <= rate.high <= 1 for rate in found.rates()["email"].values())
    json.dumps(said, allow_nan=False)


def test_no_order_of_facts_makes_a_report_crash(store: Store, settings: Settings) -> None:
    """Sent or not yet recorded, delivered or not, with machines or without: any set of facts has shares from 0 to 1."""
    dice = random.Random(20261127)
    path = settings.home / "campaigns" / "hello.yaml"
    path.write_text(path.read_text() + "\nholdout: 10%\n")
    crowd(store, 12, NOW)
    released(store, settings, NOW)
    drained(store, settings)
    with store.read() as session:
        rows = list(session.execute(select(col(Enrolment.contact_id), col(Enrolment.id))))
    for _ in range(25):
        with store.write() as session:
            session.execute(delete(Event))
            state = dice.choice(["sent", "sending", "unknown", "queued"])
            session.execute(update(Batch).values(state=state))
            for contact, enrolment in rows:
                for kind in dice.sample(
                    [*figures.STAGES, *figures.AFTER_EFFECTS, "deferred", "replied"], dice.randint(0, 4)
                ):
                    kind = "replied" if kind == "answered" else kind
                    happened(
                        session,
                        contact,
                        kind,
                        NOW,
                        enrolment,
                        machine=kind in ("opened", "clicked") and dice.random() < 0.5,
                    )
        with store.read() as session:
            json.dumps(campaign.build_report(session, settings, "hello").as_json(), allow_nan=False)


def test_a_share_of_a_base_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="60 of 40 is no share"):
        statistics.share_interval(60, 40)


def test_lift_and_money_are_measured_against_those_held_out(store: Store, settings: Settings) -> None:
    path = settings.home / "campaigns" / "hello.yaml"
    path.write_text(path.read_text() + "\nholdout: 50%\ngoal: {on: order_completed, within: 30 days}\n")
    crowd(store, 200, NOW)
    released(store, settings, NOW)
    with store.write() as session:
        rows = list(session.execute(select(Enrolment)).scalars())
        for n, row in enumerate(row for row in rows if row.contact_id):
            buys = n % 10 < (2 if row.holdout else 6)
            if buys:
                row.goal_at = NOW + timedelta(days=1)
                happened(
                    session,
                    row.contact_id or 0,
                    "order_completed",
                    NOW + timedelta(days=1),
                    amount=1000,
                    currency="EUR",
                )
    with store.read() as session:
        found = campaign.build_report(session, settings, "hello")
    assert found.lift is not None
    assert found.incremental is not None
    assert found.written_to.people + found.held_out.people == 200
    assert found.lift.is_certain
    assert 0.2 < found.lift.low < found.lift.value < found.lift.high < 0.6
    assert found.incremental.low < found.lift.value * found.written_to.people * 1000 < found.incremental.high


def test_where_people_stand_and_how_they_take_part_can_be_asked(store: Store, settings: Settings) -> None:
    from passaparola.contacts import audience
    from passaparola.contacts.audience import Question

    with store.write() as session:
        people_ = {name: add(session, name, NOW) for name in ("Lead", "Fan", "Customer", "Advocate", "Creator")}
        happened(session, people_["Fan"], "clicked", NOW - timedelta(days=1))
        happened(session, people_["Customer"], "order_completed", NOW - timedelta(days=500))
        happened(session, people_["Advocate"], "survey_answered", NOW - timedelta(days=1), properties={"score": 9.0})
        happened(session, people_["Creator"], "mentioned", NOW - timedelta(days=1), properties={"sentiment": "bad"})
        happened(session, people_["Lead"], "clicked", NOW, machine=True)
        session.flush()
        activity.refresh(session, "EUR")
        assert lifecycle.refresh_lifecycles(session, CarePolicy().scores.high, NOW) == 5
        assert lifecycle.refresh_lifecycles(session, CarePolicy().scores.high, NOW) == 0
    with store.read() as session:
        found = people.count_lifecycles(session)
        assert found.lifecycle == {"lead": 1, "fan": 2, "customer": 1, "advocate": 1}
        assert found.participation == {"reader": 3, "contributor": 1, "creator": 1}
        words = audience.load_catalogue(session, settings)
        asked = Question.parse('lifecycle = "advocate" or participation = "creator"', words)
        assert audience.count_members(session, asked, NOW) == 2


def test_the_balance_of_online_and_offline(store: Store, settings: Settings) -> None:
    with store.write() as session:
        both, online = add(session, "Both", NOW), add(session, "Online", NOW, says=False)
        offline = add(session, "Offline", NOW, email=None, says=None)
        for n, contact in enumerate((both, offline)):
            session.add(Address(medium="till", value=f"card{n}", contact_id=contact, key=f"k{n}"))
        happened(session, both, "order_completed", NOW, amount=1000, currency="EUR")
        session.flush()
        activity.refresh(session, "EUR")
    with store.read() as session:
        found = people.compare_online_offline(session)
        assert {name: (side.people, side.consenting, side.spent) for name, side in found.items()} == {
            "both": (1, 1, 1000), "only online": (1, 0, 0), "only offline": (1, 0, 0), "neither": (0, 0, 0),
        }  # fmt: skip
        assert session.get(Contact, online) is not None


@pytest.mark.parametrize("wrong", ["email", "email free", "email -1"])
def test_costs_that_are_no_prices_are_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSAPAROLA_COST_PER_MESSAGE", wrong)
    with pytest.raises(ValueError, match=r"COST_PER_MESSAGE|cost_per_message"):
        Settings()
    assert col(Enrolment.id) is not None
