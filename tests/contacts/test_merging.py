"""One person over many rows: merged with nothing lost, parted with nothing kept, and found by every old number."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as quick
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from passaparola.contacts import consent, duplicates, merging, unmerging
from passaparola.contacts.addresses import address_key
from passaparola.errors import NotAllowed, Unknown
from passaparola.inbound import pipeline
from passaparola.inbound import store as inbound_store
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import (
    Activity,
    Address,
    Consent,
    Contact,
    Conversation,
    Enrolment,
    Event,
    Merge,
    Proposal,
)
from tests.conftest import NOW
from tests.outbox.test_guards import drained, reasons, released
from tests.people import SECRET, add

WORDS = duplicates.DuplicateCandidate(1, "Alice Rossi", "05-01", "Milano", frozenset({"email"}))


def snapshot(store: Store) -> dict[str, Any]:
    """Every row that a merge may touch."""
    with store.read() as session:
        said: dict[str, Any] = {}
        for table in (Address, Consent, Event, Enrolment, Conversation, Activity):
            said[table.__name__] = sorted(str(row.model_dump()) for row in session.execute(select(table)).scalars())
        said["people"] = [
            row.model_dump(exclude={"updated_at"})
            for row in session.execute(select(Contact).order_by(col(Contact.id))).scalars()
        ]
        return said


def two(store: Store) -> tuple[int, int]:
    with store.write() as session:
        one = add(session, "Alice", NOW, city="Milano", traits={"favourite": "honey"})
        other = add(
            session,
            "Alice",
            NOW,
            email="a.rossi@example.org",
            last_name="Rossi",
            city="Roma",
            traits={"favourite": "oil", "size": "M"},
        )
        session.add(
            Address(medium="twitter", value="alice_r", contact_id=other, key=address_key(SECRET, "twitter", "alice_r"))
        )
        for n, contact in enumerate((one, other, other)):
            session.add(
                Event(
                    contact_id=contact,
                    kind="order_completed",
                    at=NOW,
                    received_at=NOW,
                    source="shop",
                    source_id=f"{n}",
                    amount=100,
                    currency="EUR",
                )
            )
        session.add(
            Conversation(
                contact_id=other, medium="email", source="mail", kind="question", opened_at=NOW, last_inbound_at=NOW
            )
        )
    return one, other


def merged(store: Store, settings: Settings, one: int, other: int) -> int:
    with store.write() as session:
        return merging.merge(session, settings, one, other, actor="t", now=NOW, reasons=["t"]).id or 0


def test_a_merge_can_be_undone_with_nothing_lost(store: Store, settings: Settings) -> None:
    one, other = two(store)
    with store.write() as session:
        from passaparola.contacts import activity

        activity.refresh(session, "EUR")
    before = snapshot(store)
    row = merged(store, settings, one, other)
    with store.read() as session:
        kept = session.get_one(Contact, one)
        assert (kept.last_name, kept.city, kept.traits) == ("Rossi", "Milano", {"favourite": "honey", "size": "M"})
        assert session.get_one(Activity, (one, "order_completed")).count == 3
        assert merging.resolve_contact(session, other) == one
        assert session.get_one(Merge, row).fields["last_name"]["why"] == "the other did not say"
    with store.write() as session:
        unmerging.unmerge(session, settings, row, actor="t", now=NOW)
    assert snapshot(store) == before


def test_their_own_word_counts_more_than_a_shops_and_the_newer_more_than_the_older(
    store: Store, settings: Settings
) -> None:
    one, other = two(store)
    with store.write() as session:
        kept, own = session.get_one(Contact, one), session.get_one(Contact, other)
        kept.sources = {"city": {"by": "shopify", "at": "2026-04-20"}}
        own.sources = {"city": {"by": "sign-up page", "at": "2026-01-01"}}
    merged(store, settings, one, other)
    with store.read() as session:
        assert session.get_one(Contact, one).city == "Roma"


def test_what_was_learned_after_the_merge_stays_when_it_is_undone(store: Store, settings: Settings) -> None:
    one, other = two(store)
    row = merged(store, settings, one, other)
    with store.write() as session:
        session.get_one(Contact, one).last_name = "Bianchi"
        session.add(
            Event(contact_id=one, kind="order_completed", at=NOW, received_at=NOW, source="shop", source_id="later")
        )
    with store.write() as session:
        unmerging.unmerge(session, settings, row, actor="t", now=NOW)
    with store.read() as session:
        assert session.get_one(Contact, one).last_name == "Bianchi"
        assert session.execute(select(col(Event.contact_id)).where(col(Event.source_id) == "later")).scalar_one() == one


def test_merges_are_undone_in_the_order_of_a_pile(store: Store, settings: Settings) -> None:
    one, other = two(store)
    with store.write() as session:
        third = add(session, "Ali", NOW)
    first, second = merged(store, settings, one, other), merged(store, settings, third, one)
    with store.write() as session:
        assert merging.resolve_contact(session, other) == third
        with pytest.raises(NotAllowed, match=f"Undo merge {second} first"):
            unmerging.unmerge(session, settings, first, actor="t", now=NOW)
        with pytest.raises(NotAllowed, match="one person already"):
            merging.merge(session, settings, one, third, actor="t", now=NOW, reasons=[])
        with pytest.raises(Unknown):
            merging.resolve_contact(session, 999)


def test_a_no_of_either_row_holds_for_the_one_person(store: Store, settings: Settings) -> None:
    one, other = two(store)
    with store.write() as session:
        consent.record(session, other, "email", "newsletter", False, at=NOW + timedelta(seconds=1), source="t")
    merged(store, settings, one, other)
    made = released(store, settings, NOW + timedelta(hours=1))
    assert reasons(store, made) == {"held: said no to newsletter by email": 1}


def test_a_no_said_after_the_merge_is_a_no_of_both_when_they_are_parted(store: Store, settings: Settings) -> None:
    one, other = two(store)
    row = merged(store, settings, one, other)
    with store.write() as session:
        consent.record(session, one, "email", "newsletter", False, at=NOW + timedelta(days=1), source="t")
        unmerging.unmerge(session, settings, row, actor="t", now=NOW + timedelta(days=2))
    with store.read() as session:
        assert not any(consent.may_be_written_to(session, contact, "email", "newsletter") for contact in (one, other))


def test_what_comes_back_of_a_merged_rows_letter_is_the_persons(store: Store, settings: Settings) -> None:
    one, other = two(store)
    released(store, settings)
    drained(store, settings)
    merged(store, settings, one, other)
    told = [
        {
            "event": "unsubscribe",
            "email": "a.rossi@example.org",
            "timestamp": int(NOW.timestamp()) + 9,
            "sg_event_id": "1",
            "passaparola_message": f"{other}-0-email",
        }
    ]
    with store.write() as session:
        inbound_store.store_body(session, inbound_store.NewBody("sendgrid", "x", {}, json.dumps(told).encode(), NOW))
    pipeline.apply_inbound(store, settings, NOW + timedelta(days=1))
    with store.read() as session:
        assert not consent.may_be_written_to(session, one, "email", "newsletter")


def test_who_was_in_the_same_launch_twice_is_written_to_once_after_the_merge(store: Store, settings: Settings) -> None:
    one, other = two(store)
    made = released(store, settings)
    merged(store, settings, one, other)
    drained(store, settings)
    box = list((settings.var / "mailbox" / "email" / "new").iterdir())
    assert len(box) == 1
    assert reasons(store, made) == {"held: no email address": 1}


def test_a_shops_own_number_makes_two_rows_one_and_a_shared_telephone_only_a_proposal(
    store: Store, settings: Settings
) -> None:
    def told(n: int, **addresses: str) -> None:
        body = {
            "event": "Order Completed",
            "timestamp": NOW.isoformat(),
            "messageId": f"{n}",
            "addresses": addresses,
            "properties": {"order_id": f"{n}"},
        }
        with store.write() as session:
            inbound_store.store_body(
                session, inbound_store.NewBody("events", f"{n}", {"webhook-id": f"{n}"}, json.dumps(body).encode(), NOW)
            )
        pipeline.apply_inbound(store, settings, NOW)

    told(1, email="anna@example.org")
    told(2, till="card-77", phone="+393331234567")
    told(3, email="bruno@example.org")
    told(4, email="bruno@example.org", phone="+393331234567")  # a household
    with store.read() as session:
        assert session.execute(select(Merge)).first() is None
        assert session.execute(select(col(Proposal.score))).scalar_one() == 0.8
    told(5, email="anna@example.org", till="card-77")
    with store.read() as session:
        row = session.execute(select(Merge)).scalar_one()
        assert row.reasons == ["events knows both under one customer number"]
        assert merging.resolve_contact(session, row.merged_id) == row.kept_id


def test_an_order_with_a_known_phone_and_another_email_thanks_the_buyer(store: Store, settings: Settings) -> None:
    def ordered(n: int, first_name: str, **addresses: str) -> int:
        body = {
            "event": "Order Completed", "timestamp": NOW.isoformat(), "messageId": f"{n}", "addresses": addresses,
            "traits": {"first_name": first_name}, "properties": {"order_id": f"{n}"},
        }  # fmt: skip
        with store.write() as session:
            inbound_store.store_body(
                session, inbound_store.NewBody("events", f"{n}", {"webhook-id": f"{n}"}, json.dumps(body).encode(), NOW)
            )
        pipeline.apply_inbound(store, settings, NOW)
        with store.read() as session:
            return session.execute(select(col(Event.contact_id)).where(col(Event.source_id) == f"{n}")).scalar_one()

    luca = ordered(1, "Luca", email="luca@example.org", phone="+393331234567")
    paola = ordered(2, "Paola", email="paola@example.org", phone="+393331234567")
    with store.read() as session:
        assert session.get_one(Contact, paola).first_name == "Paola"
        own = select(col(Address.value)).where(col(Address.contact_id) == paola)
        assert list(session.execute(own).scalars()) == ["paola@example.org"]
        assert session.execute(select(col(Proposal.one_id), col(Proposal.other_id))).all() == [(luca, paola)]
    # A shop's number of hers and the shared phone: it is her, and nobody is merged by the phone.
    assert ordered(3, "Paola", till="card-9", email="paola@example.org", phone="+393331234567") == paola
    assert ordered(4, "Paola", till="card-9", phone="+393331234567") == paola
    assert ordered(5, "Luca", phone="+393331234567") == luca
    with store.read() as session:
        assert session.execute(select(Merge)).first() is None


@pytest.mark.parametrize(
    ("other", "enough"),
    [
        (duplicates.DuplicateCandidate(2, "Alice Rossi", "05-01", None, frozenset({"email"})), True), (duplicates.DuplicateCandidate(2, "Alise Rossi", "05-01", "Milano", frozenset({"phone"})), True),
        (duplicates.DuplicateCandidate(2, "Alice Rossi", "06-02", "Milano", frozenset({"phone"})), False), (duplicates.DuplicateCandidate(2, "Alice Rossi", None, None, frozenset({"email"})), False),
        (duplicates.DuplicateCandidate(2, "Bruno Conti", "05-01", "Milano", frozenset({"phone"})), False),
    ],
)  # fmt: skip
def test_likeness_needs_more_than_a_name(other: duplicates.DuplicateCandidate, enough: bool) -> None:
    score, reasons_ = duplicates.similarity(WORDS, other)
    assert (score >= duplicates.MIN_SCORE) == enough
    assert bool(reasons_) or not enough


def test_one_mailbox_under_two_names_is_proposed_once(store: Store) -> None:
    with store.write() as session:
        add(session, "A", NOW, email="anna.bianchi@gmail.com")
        add(session, "B", NOW, email="annabianchi+shop@gmail.com")
        add(session, "C", NOW, email="anna.bianchi@example.org")
    with store.write() as session:
        assert (duplicates.propose_duplicates(session, NOW), duplicates.propose_duplicates(session, NOW)) == (1, 0)


@quick(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=6))
def test_any_pile_of_merges_undone_is_as_if_it_never_was(
    store: Store, settings: Settings, pairs: list[tuple[int, int]]
) -> None:
    with store.write() as session:
        people = [
            add(session, f"P{n}", NOW, email=f"p{n}-{add_number()}@example.org", city=f"C{n}" if n % 2 else None)
            for n in range(5)
        ]
        for n, contact in enumerate(people):
            session.add(
                Event(
                    contact_id=contact, kind="replied", at=NOW, received_at=NOW, source="x", source_id=f"{contact}-{n}"
                )
            )
    with store.write() as session:
        from passaparola.contacts import activity

        activity.refresh(session, "EUR")
    before, done = snapshot(store), []
    for one, other in pairs:
        try:
            done.append(merged(store, settings, people[one], people[other]))
        except NotAllowed:
            continue
    for row in reversed(done):
        with store.write() as session:
            unmerging.unmerge(session, settings, row, actor="t", now=NOW)
    assert snapshot(store) == before


_numbers = iter(range(10**9))


def add_number() -> int:
    return next(_numbers)
