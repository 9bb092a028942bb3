"""What comes back of our messages: facts in any order, what they do to an address, and who counts as a person."""

import asyncio
import itertools
import json
import os
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from sqlmodel import Session, col

from passaparola import engine
from passaparola.channel.message_ids import sign_message_id
from passaparola.contacts import activity, consent
from passaparola.inbound import machines, pipeline, suppression
from passaparola.inbound import store as inbound_store
from passaparola.inbound.machines import Touch
from passaparola.outbox import ledger
from passaparola.outbox.deliver import Drain
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import (
    Activity,
    Audit,
    Batch,
    Consent,
    Contact,
    Enrolment,
    Event,
    EventName,
    Launch,
    Message,
    RawBody,
    Suppression,
)
from tests import providers
from tests.conftest import NOW, Provider
from tests.outbox.test_guards import drained, released
from tests.people import add
from tests.providers import event

SENT = NOW.replace(hour=8)
LATER = NOW + timedelta(days=2)
number = itertools.count()
# In every run; PASSAPAROLA_PERMUTATIONS=1000 takes five minutes.
PERMUTATIONS = int(os.environ.get("PASSAPAROLA_PERMUTATIONS", "60"))


def came(store: Store, *events: dict[str, Any], urgent: bool = False, at: datetime = NOW) -> None:
    body = json.dumps(list(events)).encode()
    with store.write() as session:
        inbound_store.store_body(session, inbound_store.NewBody("sendgrid", f"{next(number)}", {}, body, at, urgent))


def told(store: Store, settings: Settings, *events: dict[str, Any], now: datetime = LATER) -> None:
    came(store, *events)
    pipeline.apply_inbound(store, settings, now)


@pytest.fixture
def sent(store: Store, settings: Settings) -> dict[str, str]:
    """The newsletter went out to four readers; their messages by name."""
    with store.write() as session:
        ids = {name: add(session, name, NOW) for name in ("Alice", "Bob", "Carla", "Dario")}
    released(store, settings)
    drained(store, settings)
    with store.write() as session:
        session.execute(update(Batch).values(finished_at=SENT, claimed_at=SENT))
        rows = session.execute(select(col(Enrolment.contact_id), col(Enrolment.id))).all()
        older = {f"{name}#{n}": letter_before(session, id_) for n in range(6) for name, id_ in ids.items()}
    by_contact = {contact: f"{enrolment}-0-email" for contact, enrolment in rows}
    return {name: by_contact[id_] for name, id_ in ids.items()} | older


def letter_before(session: Session, contact: int) -> str:
    """An older letter to someone, long sent; its name."""
    launch = session.execute(select(Launch).order_by(col(Launch.id))).scalars().first()
    assert launch is not None
    long_ago = SENT - timedelta(days=30)
    other = Launch(**launch.model_dump(exclude={"id", "occurrence"}))
    session.add(other)
    session.flush()
    enrolment = Enrolment(
        launch_id=other.id or 0, contact_id=contact, step=1, due_at=long_ago, entered_at=long_ago, outcome="finished"
    )
    batch = Batch(
        launch_id=other.id or 0,
        step=0,
        medium="email",
        locale="en",
        number=0,
        size=1,
        state="sent",
        due_at=long_ago,
        finished_at=long_ago,
    )
    session.add_all([enrolment, batch])
    session.flush()
    session.add(Message(enrolment_id=enrolment.id or 0, step=0, medium="email", batch_id=batch.id))
    session.flush()
    return f"{enrolment.id}-0-email"


def suppressed(store: Store) -> dict[str, str]:
    with store.read() as session:
        return {row.reason: row.source for row in session.execute(select(Suppression)).scalars()}


def at(minutes: int) -> int:
    return int((NOW + timedelta(minutes=minutes)).timestamp())


def test_a_complaint_silences_every_topic(store: Store, settings: Settings, sent: dict[str, str]) -> None:
    with store.write() as session:
        consent.record(session, 1, "email", "after_sales", True, at=SENT, source="t")
    told(store, settings, event("spamreport", sent["Alice"], at=at(1)))
    with store.read() as session:
        assert not consent.may_be_written_to(session, 1, "email", "newsletter")
        assert not consent.may_be_written_to(session, 1, "email", "after_sales")
    assert suppressed(store) == {"complaint": "sendgrid"}


def test_a_hard_bounce_silences_the_address_and_says_no_for_nobody(
    store: Store, settings: Settings, sent: dict[str, str]
) -> None:
    told(store, settings, event("bounce", sent["Alice"], type="bounce", at=at(1)))
    assert suppressed(store) == {"hard bounce": "sendgrid"}
    with store.read() as session:
        assert consent.may_be_written_to(session, 1, "email", "newsletter")


def test_one_soft_bounce_does_nothing_and_five_in_a_row_are_enough(
    store: Store, settings: Settings, sent: dict[str, str]
) -> None:
    for n in range(1, 6):
        assert suppressed(store) == {}
        told(store, settings, event("bounce", sent[f"Alice#{n}"], type="blocked", at=at(n)))
        told(
            store, settings, event("bounce", sent[f"Alice#{n}"], type="blocked", at=at(n), id=f"again{n}")
        )  # of one letter: one
    assert suppressed(store) == {suppression.SOFT: "soft bounces"}


def test_something_delivered_in_between_begins_the_count_anew_even_when_it_is_told_last(
    store: Store, settings: Settings, sent: dict[str, str]
) -> None:
    told(store, settings, *(event("bounce", sent[f"Alice#{n}"], type="blocked", at=at(n)) for n in range(1, 6)))
    assert suppression.SOFT in suppressed(store)
    told(store, settings, event("delivered", sent["Alice"], at=at(3)))
    assert suppressed(store) == {}


def test_what_our_content_or_reputation_earned_never_counts_against_an_address(
    store: Store, settings: Settings, sent: dict[str, str]
) -> None:
    told(
        store, settings,
        *(event("bounce", sent[f"Alice#{n}"], type="blocked", bounce_classification="Reputation", at=at(n)) for n in range(1, 6)),
    )  # fmt: skip
    assert suppressed(store) == {}


@pytest.mark.parametrize(
    ("reason", "because"),
    [("Bounced Address", "hard bounce"), ("Spam Reporting Address", "complaint"), ("Invalid", "invalid address"), ("Spam Content", None),
     ("Recipient List over Package Quota", None)],
)  # fmt: skip
def test_a_drop_mirrors_what_the_provider_knows_of_the_address(
    store: Store, settings: Settings, sent: dict[str, str], reason: str, because: str | None
) -> None:
    told(store, settings, event("dropped", sent["Alice"], reason=reason, at=at(1)))
    assert list(suppressed(store)) == ([because] if because else [])


def test_an_unsubscribe_at_the_provider_is_a_no_to_what_the_letter_was_about(
    store: Store, settings: Settings, sent: dict[str, str]
) -> None:
    with store.write() as session:
        consent.record(session, 1, "email", "after_sales", True, at=SENT, source="t")
    told(store, settings, event("group_unsubscribe", sent["Alice"], at=at(1)))
    with store.read() as session:
        assert not consent.may_be_written_to(session, 1, "email", "newsletter")
        assert consent.may_be_written_to(session, 1, "email", "after_sales")


def test_a_resubscribe_at_the_provider_is_kept_and_allows_nothing(
    store: Store, settings: Settings, sent: dict[str, str]
) -> None:
    told(
        store,
        settings,
        event("group_unsubscribe", sent["Alice"], at=at(1)),
        event("group_resubscribe", sent["Alice"], at=at(2)),
    )
    with store.read() as session:
        assert not consent.may_be_written_to(session, 1, "email", "newsletter")


def test_a_late_bounce_without_a_name_finds_the_last_letter_to_that_address(
    store: Store, settings: Settings, sent: dict[str, str]
) -> None:
    told(store, settings, event("bounce", "", type="bounce", at=at(90)))
    with store.read() as session:
        row = session.execute(select(Event).where(col(Event.kind) == "bounced")).scalar_one()
    assert f"{row.enrolment_id}-{row.step}-{row.medium}" == sent["Alice"]
    assert "hard bounce" in suppressed(store)


def test_feedback_makes_nobodys_acquaintance(store: Store, settings: Settings, sent: dict[str, str]) -> None:
    told(
        store,
        settings,
        event("delivered", "", email="stranger@example.org"),
        event("spamreport", "999999-0-email", email="x@example.org"),
    )
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Contact)).scalar_one() == 4
        assert session.execute(select(col(RawBody.state))).scalar() in ("ignored", "applied")


def hears(store: Store, settings: Settings, *letters: bytes) -> None:
    for letter in letters:
        kind, body = providers.form(letter)
        with store.write() as session:
            new = inbound_store.NewBody("sendgrid_inbound", f"{next(number)}", {"content-type": kind}, body, NOW, True)
            inbound_store.store_body(session, new)
    pipeline.apply_inbound(store, settings, LATER)


def test_nobody_is_silenced_by_a_letter_that_anyone_could_write(
    store: Store, settings: Settings, sent: dict[str, str]
) -> None:
    bobs = f"<{sign_message_id(settings.secret, sent['Bob'])}.passaparola@bottega.example>"
    for returned in ("<x@y>", bobs):  # of no letter of ours, and of one that somebody else got
        for kind in ("dsn", "arf"):
            hears(store, settings, providers.report(kind, "alice@example.org", returned))
    assert suppressed(store) == {}
    alices = f"<{sign_message_id(settings.secret, sent['Alice'])}.passaparola@bottega.example>"
    hears(store, settings, providers.report("dsn", "alice@example.org", alices))
    assert list(suppressed(store)) == ["hard bounce"]


def test_who_writes_stop_to_a_letter_that_a_friend_passed_on_means_themselves(
    store: Store, settings: Settings, sent: dict[str, str]
) -> None:
    alices = f"<{sign_message_id(settings.secret, sent['Alice'])}.passaparola@bottega.example>"
    hears(
        store,
        settings,
        providers.letter("STOP", sender="bob@example.org", answers=alices),
        providers.letter("stop", sender="stranger@example.org", answers=alices, name="<2@x>"),
    )
    with store.read() as session:
        assert [consent.may_be_written_to(session, n, "email", "newsletter") for n in (1, 2)] == [True, False]


def test_an_out_of_office_is_nobodys_reply(store: Store, settings: Settings, sent: dict[str, str]) -> None:
    alices = f"<{sign_message_id(settings.secret, sent['Alice'])}.passaparola@bottega.example>"
    hears(store, settings, providers.letter("Sono in ferie", answers=alices, Auto_Submitted="auto-replied"))
    with store.read() as session:
        assert session.execute(select(col(Event.machine)).where(col(Event.kind) == "replied")).scalar_one()
        assert session.get(Activity, (1, "replied")) is None


def test_a_no_that_is_told_after_a_purchase_still_is_a_no(
    store: Store, settings: Settings, sent: dict[str, str]
) -> None:
    with store.write() as session:
        consent.record_soft_opt_in(
            session, 1, "after_sales", agrees=None, at=NOW + timedelta(days=1), source="shop", order="1"
        )
    told(store, settings, event("spamreport", sent["Alice"], at=at(1)))
    with store.read() as session:
        assert not consent.may_be_written_to(session, 1, "email", "after_sales")


def test_machines_count_as_nobody_and_are_kept(store: Store, settings: Settings, sent: dict[str, str]) -> None:
    told(
        store, settings,
        event("open", sent["Alice"], at=at(0), sg_machine_open=True),
        *(event("click", sent["Bob"], at=at(5), url=f"https://x/{n}", id=f"c{n}") for n in range(3)),
        event("click", sent["Carla"], "carla@example.org", at=at(5), url="https://x/1"),
    )  # fmt: skip
    with store.read() as session:
        rows = session.execute(
            select(col(Event.contact_id), col(Event.kind), col(Event.machine)).order_by(col(Event.id))
        ).all()
        counted = {(a.contact_id, a.kind): a.count for a in session.execute(select(Activity)).scalars()}
    assert [tuple(row) for row in rows] == [
        (1, "opened", True),
        (2, "clicked", True),
        (2, "clicked", True),
        (2, "clicked", True),
        (3, "clicked", False),
    ]
    assert counted == {(3, "clicked"): 1}


def test_a_click_turns_out_to_be_a_scanners_when_the_other_links_are_told(
    store: Store, settings: Settings, sent: dict[str, str]
) -> None:
    told(store, settings, event("click", sent["Alice"], at=at(5), url="https://x/1"))
    with store.read() as session:
        assert session.get(Activity, (1, "clicked")) is not None
    told(store, settings, *(event("click", sent["Alice"], at=at(5), url=f"https://x/{n}", id=f"n{n}") for n in (2, 3)))
    with store.read() as session:
        assert session.get(Activity, (1, "clicked")) is None


def test_a_person_who_clicks_two_links_in_a_minute_is_a_person() -> None:
    touches = [Touch(n, NOW + timedelta(seconds=20 * n), f"https://x/{n}", False) for n in range(3)]
    assert machines.find_machine_touches(touches, SENT) == set()
    assert machines.find_machine_touches(touches, NOW - timedelta(seconds=1)) == {0}
    assert machines.find_machine_touches([Touch(9, NOW, "", True)], None) == {9}


def test_noes_go_first_even_behind_a_long_queue(
    store: Store, settings: Settings, sent: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        came(store, *(event("delivered", sent["Bob"], at=at(n), id=f"d{n}-{i}") for i in range(50)))
    came(store, event("delivered", sent["Alice"], at=at(1)), event("spamreport", sent["Alice"], at=at(2)), urgent=True)
    seen: list[tuple[bool, int]] = []
    some = pipeline._apply_batch

    def watched(*given: Any) -> Any:
        done = some(*given)
        with store.read() as session:
            kept = session.execute(select(func.count()).select_from(Event)).scalar_one()
        seen.append((bool(suppressed(store)), kept))
        return done

    monkeypatch.setattr(pipeline, "_apply_batch", watched)
    pipeline.apply_inbound(store, settings, LATER)
    assert seen[0] == (True, 1)  # the complaint alone, before any of what had come earlier
    assert seen[-1] == (True, 302)
    with store.read() as session:
        assert (
            session.execute(select(func.count()).select_from(Consent).where(col(Consent.topic) == "*")).scalar_one()
            == 1
        )


# What a campaign gets back, with something odd for everybody.
def everything(sent: dict[str, str]) -> list[dict[str, Any]]:
    alice, bob, carla, dario = (sent[name] for name in ("Alice", "Bob", "Carla", "Dario"))
    to = {"Bob": "bob@example.org", "Carla": "carla@example.org", "Dario": "dario@example.org"}
    return [
        event("processed", alice, at=at(0)), event("deferred", alice, at=at(1)), event("delivered", alice, at=at(2)),
        event("open", alice, at=at(3), sg_machine_open=True), event("open", alice, at=at(10)), event("click", alice, at=at(11), url="https://x/1"),
        event("unsubscribe", alice, at=at(12)), event("group_resubscribe", alice, at=at(13)), event("group_unsubscribe", alice, at=at(14)),
        *(event("click", bob, to["Bob"], at=at(4), url=f"https://x/{n}", id=f"scan{n}") for n in range(4)),
        event("delivered", bob, to["Bob"], at=at(4)), event("bounce", bob, to["Bob"], at=at(30), type="bounce"), event("spamreport", bob, to["Bob"], at=at(31)),
        *(event("bounce", sent[f"Carla#{n}"], to["Carla"], at=at(40 + n), type="blocked") for n in range(6)),
        event("bounce", "", to["Carla"], at=at(49), type="blocked"),
        event("delivered", carla, to["Carla"], at=at(41)),
        *(event("bounce", sent[f"Dario#{n}"], to["Dario"], at=at(50 + n), type="blocked") for n in range(5)),
        event("dropped", dario, to["Dario"], at=at(56), reason="Unsubscribed Address"),
    ]  # fmt: skip


def state(store: Store) -> dict[str, Any]:
    with store.read() as session:
        return {
            "events": sorted(
                (e.contact_id, e.kind, e.source_id, e.at, e.machine, e.enrolment_id or 0) for e in session.execute(select(Event)).scalars()
            ),
            "activity": sorted(
                (a.contact_id, a.kind, a.count, a.first_at, a.latest_1, a.latest_2 or a.first_at) for a in session.execute(select(Activity)).scalars()
            ),
            "suppressed": sorted((s.key, s.reason, s.at) for s in session.execute(select(Suppression)).scalars()),
            "may": [consent.may_be_written_to(session, n, "email", topic) for n in range(1, 5) for topic in ("newsletter", "after_sales")],
            "messages": sorted((m.enrolment_id, str(m.state)) for m in session.execute(select(Message)).scalars()),
        }  # fmt: skip


def test_every_permutation_and_repetition_has_one_end(
    store: Store, settings: Settings, sent: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(20260421)
    said, first = everything(sent), None
    for _ in range(PERMUTATIONS):
        order = said + dice.choices(said, k=dice.randrange(12))  # SendGrid repeats itself
        dice.shuffle(order)
        cuts = sorted(dice.sample(range(1, len(order)), 2))
        with store.write() as session:
            for table in (Event, EventName, Activity, Suppression, Audit, RawBody):
                session.execute(delete(table))
            session.execute(delete(Consent).where(col(Consent.source) == "sendgrid"))
            for n, part in enumerate((order[: cuts[0]], order[cuts[0] : cuts[1]], order[cuts[1] :])):
                urgent = dice.random() < 0.5
                new = inbound_store.NewBody("sendgrid", f"{n}", {}, json.dumps(part).encode(), NOW, urgent)
                inbound_store.store_body(session, new)
        monkeypatch.setattr(pipeline, "BATCH_BYTES", dice.choice([1, 600_000]))
        pipeline.apply_inbound(store, settings, LATER)
        found = state(store)
        first = first or found
        assert found == first
    assert first is not None
    assert {reason for _, reason, _ in first["suppressed"]} == {"complaint", suppression.SOFT}
    with store.write() as session:  # and the counters are what a recount says
        activity.refresh(session, settings.currency)
    assert state(store)["activity"] == first["activity"]


def test_what_comes_back_of_one_message_resolves_the_doubt_about_its_whole_request(
    sendgrid: Provider, store: Store, settings: Settings
) -> None:
    with store.write() as session:
        for name in ("Alice", "Bob", "Carla"):
            add(session, name, NOW)
    made = released(store, settings)
    sendgrid.knobs(drop=[1])
    asyncio.run(Drain(store, settings).run())
    with store.read() as session:
        assert ledger.tally_launch(session, made).total("unknown") == 3
    now = datetime.now(UTC)
    came(store, event("processed", "2-0-email", "bob@example.org", at=int(now.timestamp()) + 1), at=now)
    engine.tick(store, settings, now + timedelta(seconds=2), actor="t")
    with store.read() as session:
        assert ledger.tally_launch(session, made).total("sent") == 3
    assert sorted(sendgrid.accepted()) == ["alice@example.org", "bob@example.org", "carla@example.org"]
