"""What came in: twice, late and in any order the same end; a basis to write only as the law allows; nothing dropped."""

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from passaparola.contacts import consent
from passaparola.inbound import pipeline
from passaparola.inbound import store as inbound_store
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Activity, Address, Consent, Contact, Event, EventName, RawBody
from tests import shops
from tests.conftest import NOW
from tests.people import add

LATER = NOW + timedelta(days=5)


def came(store: Store, source: str, headers: dict[str, str], body: bytes, key: str | None = None) -> None:
    with store.write() as session:
        lower = {name.lower(): value for name, value in headers.items()}
        inbound_store.store_body(
            session, inbound_store.NewBody(source, key or f"{hash((source, body))}", lower, body, NOW)
        )


def ordered(store: Store, **more: Any) -> None:
    came(store, "shopify", *shops.shopify(shops.order(**more)))


def state(store: Store) -> dict[str, Any]:
    """Everything that what came in has made, without the numbers that depend on who came first."""
    with store.read() as session:
        people = {c.id: sorted(session.execute(select(col(Address.value)).where(col(Address.contact_id) == c.id)).scalars())
                  for c in session.execute(select(Contact)).scalars()}  # fmt: skip
        return {
            "people": sorted(map(str, people.values())),
            "events": sorted((str(people[e.contact_id]), e.kind, e.source_id, e.amount or 0, e.currency or "", str(e.at))
                             for e in session.execute(select(Event)).scalars()),
            "activity": sorted((str(people[a.contact_id]), a.kind, a.count, a.total) for a in session.execute(select(Activity)).scalars()),
            "consents": sorted((str(people[c.contact_id]), c.topic, c.granted, c.basis) for c in session.execute(select(Consent)).scalars()),
        }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "made", "amount", "currency"),
    [
        ("shopify", lambda: shops.shopify(shops.order()), 3340, "EUR"),
        ("woocommerce", lambda: shops.woocommerce(shops.woo_order()), 2900, "JPY"),  # a currency without cents
        ("stripe", lambda: shops.stripe(shops.stripe_event()), 2599, "EUR"),
        ("events", lambda: shops.events({"event": "Order Completed", "email": "giulia@example.org", "timestamp": shops.AT,
            "properties": {"order_id": 7, "total": 25.5, "currency": "eur"}}), 2550, "EUR"),
    ],
)  # fmt: skip
def test_every_shop_tells_the_same_event_with_its_money(
    store: Store, settings: Settings, source: str, made: Any, amount: int, currency: str
) -> None:
    came(store, source, *made())
    assert dict(pipeline.apply_inbound(store, settings, LATER)) == {"order_completed": 1}
    with store.read() as session:
        (event,) = session.execute(select(Event)).scalars()
        assert (event.kind, event.amount, event.currency) == ("order_completed", amount, currency)
        assert event.properties["order_id"]
        (address,) = session.execute(select(Address).where(col(Address.medium) == "email")).scalars()
        assert address.value == "giulia@example.org"


def test_an_order_told_by_many_deliveries_is_one_purchase_of_one_person(store: Store, settings: Settings) -> None:
    for delivery in range(8):
        came(store, "shopify", *shops.shopify(shops.order()), key=f"delivery {delivery}")
    assert sum(pipeline.apply_inbound(store, settings, LATER).values()) == 1
    assert len(state(store)["people"]) == 1


def test_any_order_of_arrival_and_any_repetition_ends_the_same(store: Store, settings: Settings) -> None:
    bodies = [
        ("shopify", shops.shopify(shops.order(1))), ("shopify", shops.shopify(shops.refund(1), "refunds/create")),
        ("shopify", shops.shopify(shops.order(2, email="marco@example.org"))),
        ("shopify", shops.shopify(shops.order(1), "orders/fulfilled")),
        ("stripe", shops.stripe(shops.stripe_event(), 1)),
        ("woocommerce", shops.woocommerce(shops.woo_order())), ("woocommerce", shops.woocommerce(shops.woo_order("refunded"))),
    ]  # fmt: skip
    dice, ends = random.Random(11), []
    for round_ in range(12):
        with store.write() as session:
            for table in (Activity, Event, EventName, Consent, Address, RawBody, Contact):
                session.execute(table.__table__.delete())  # type: ignore[attr-defined]
        told = bodies * 2
        dice.shuffle(told)
        for place, (source, (headers, body)) in enumerate(told):
            came(store, source, headers, body, key=f"{round_}-{place}")
            if dice.random() < 0.5:
                pipeline.apply_inbound(store, settings, LATER)
        pipeline.apply_inbound(store, settings, LATER)
        pipeline.apply_inbound(store, settings, LATER)
        ends.append(state(store))
    assert all(end == ends[0] for end in ends)
    assert len(ends[0]["events"]) == 7


def test_a_refund_that_comes_first_waits_for_its_order(store: Store, settings: Settings) -> None:
    came(store, "shopify", *shops.shopify(shops.refund(), "refunds/create"))
    assert not pipeline.apply_inbound(store, settings, LATER)
    with store.read() as session:
        assert inbound_store.count_bodies(session).sources == {"shopify": {"waiting": 1}}
    ordered(store)
    assert dict(pipeline.apply_inbound(store, settings, LATER)) == {"order_completed": 1, "order_refunded": 1}


def test_playing_a_span_again_changes_nothing_and_restores_what_was_lost(store: Store, settings: Settings) -> None:
    for n in range(5):
        ordered(store, id_=n, email=f"p{n}@example.org")
    pipeline.apply_inbound(store, settings, LATER)
    before = state(store)
    assert (
        inbound_store.replay(store, since=NOW - timedelta(days=1), until=LATER, source=None, actor="t", now=LATER) == 5
    )
    assert not pipeline.apply_inbound(store, settings, LATER)
    assert state(store) == before
    with store.write() as session:
        for table in (Event, EventName, Activity):
            session.execute(table.__table__.delete())  # type: ignore[attr-defined]
    inbound_store.replay(store, since=NOW - timedelta(days=1), until=LATER, source="shopify", actor="t", now=LATER)
    assert pipeline.apply_inbound(store, settings, LATER)["order_completed"] == 5
    assert state(store) == before


def test_what_is_not_understood_is_kept_counted_and_stops_nobody(store: Store, settings: Settings) -> None:
    came(store, "shopify", {"X-Shopify-Topic": "orders/paid"}, b"{nonsense", key="1")
    came(store, "shopify", *shops.shopify({"hello": "world"}), key="2")
    came(store, "shopify", *shops.shopify(shops.order(currency="GOLD")), key="3")
    came(store, "shopify", *shops.shopify({"shop_id": 1}, "customers/redact"), key="4")
    came(store, "events", *shops.events({"batch": [
        {"event": "Signed Up", "email": "ok@example.org", "timestamp": shops.AT}, {"event": "", "email": "x@example.org"},
        {"event": "Signed Up", "email": "not an address", "timestamp": shops.AT}, "nothing"]}), key="5")  # fmt: skip
    ordered(store, email="fine@example.org")
    assert dict(pipeline.apply_inbound(store, settings, LATER)) == {"signed_up": 1, "order_completed": 1}
    with store.read() as session:
        found = inbound_store.count_bodies(session)
    assert found.sources == {"shopify": {"invalid": 4, "applied": 1}, "events": {"invalid": 1}}
    assert all(odd["problem"] for odd in found.invalid)
    assert "event 2" in found.invalid[0]["problem"]


def test_a_body_that_the_database_refuses_is_set_aside_and_the_others_go_on(store: Store, settings: Settings) -> None:
    came(store, "events", *shops.events({"event": "signed_up", "email": "nul@example.org", "timestamp": shops.AT,
         "messageId": "a\x00b", "properties": {"a": "x\x00y", "n": 2**70}}))  # fmt: skip
    ordered(store)
    assert sum(pipeline.apply_inbound(store, settings, LATER).values()) == 2


def test_a_purchase_is_a_basis_only_where_the_operator_says_that_buyers_are_told(
    store: Store, settings: Settings
) -> None:
    told = settings.model_copy(update={"soft_opt_in": "after_sales"})
    ordered(store)
    pipeline.apply_inbound(store, settings, LATER)
    assert state(store)["consents"] == []
    came(store, "shopify", *shops.shopify(shops.order(2, email="due@example.org")), key="2")
    pipeline.apply_inbound(store, told, LATER)
    assert state(store)["consents"] == [("['due@example.org']", "after_sales", True, "soft_opt_in")]


@pytest.mark.parametrize(
    ("order", "said_before", "allowed"),
    [
        ({}, None, True),
        ({"buyer_accepts_marketing": False}, None, False),  # asked, and did not agree
        ({"buyer_accepts_marketing": True}, None, True),
        ({"customer": {"email_marketing_consent": {"state": "unsubscribed"}}}, None, False),
        ({}, False, False),  # a no stands, whatever they buy
        ({"buyer_accepts_marketing": True}, False, False),
    ],
)
def test_soft_opt_in_never_goes_over_what_a_person_said(
    store: Store, settings: Settings, order: dict[str, Any], said_before: bool | None, allowed: bool
) -> None:
    told = settings.model_copy(update={"soft_opt_in": "after_sales"})
    with store.write() as session:
        giulia = add(session, "Giulia", NOW - timedelta(days=9), says=None)
        if said_before is not None:
            consent.record(session, giulia, "email", "*", said_before, at=NOW, source="t")
    ordered(store, **order)
    pipeline.apply_inbound(store, told, LATER)
    with store.read() as session:
        assert consent.may_be_written_to(session, giulia, "email", "after_sales") is allowed


def test_an_old_yes_of_a_shop_does_not_undo_a_later_no(store: Store, settings: Settings) -> None:
    with store.write() as session:
        giulia = add(session, "Giulia", NOW - timedelta(days=9), says=None)
        consent.record(session, giulia, "email", "newsletter", False, at=LATER - timedelta(days=1), source="t")
    ordered(store, buyer_accepts_marketing=True)
    pipeline.apply_inbound(store, settings, LATER)
    with store.read() as session:
        assert not consent.may_be_written_to(session, giulia, "email", "newsletter")


def test_a_shop_fills_in_what_we_do_not_know_and_overwrites_nothing(store: Store, settings: Settings) -> None:
    with store.write() as session:
        giulia = add(session, "Giulia", NOW, language="de")
    ordered(store, customer_locale="it", customer={"first_name": "G.", "last_name": "Ferrari"})
    pipeline.apply_inbound(store, settings, LATER)
    with store.read() as session:
        person = session.get(Contact, giulia)
        assert person
        assert (person.first_name, person.last_name, person.language, person.country) == (
            "Giulia",
            "Ferrari",
            "de",
            "IT",
        )


def test_a_later_delivery_that_repeats_a_yes_does_not_undo_a_no(store: Store, settings: Settings) -> None:
    ordered(store, buyer_accepts_marketing=True)
    pipeline.apply_inbound(store, settings, LATER)
    with store.write() as session:
        (giulia,) = session.execute(select(col(Contact.id))).scalars()
        consent.record(session, giulia or 0, "email", "newsletter", False, at=LATER, source="t")
    fulfilled = shops.order(buyer_accepts_marketing=True, updated_at="2026-05-21T09:00:00+00:00")
    came(store, "shopify", *shops.shopify(fulfilled, "orders/fulfilled"))
    state_ = {"email_marketing_consent": {"state": "subscribed", "consent_updated_at": "2026-01-01T00:00:00+00:00"}}
    came(store, "shopify", *shops.shopify(shops.order(2, customer=state_, processed_at="2026-05-22T09:00:00+00:00")))
    pipeline.apply_inbound(store, settings, LATER + timedelta(days=60))
    with store.read() as session:
        assert not consent.may_be_written_to(session, giulia or 0, "email", "newsletter")


def nested(deep: int) -> Any:
    found: Any = 1
    for _ in range(deep):
        found = [found]
    return found


def test_no_body_however_strange_blocks_those_behind_it(store: Store, settings: Settings) -> None:
    came(store, "events", *shops.events({"event": "Order Completed", "email": "a@example.org", "timestamp": shops.AT,
         "properties": {"total": "1E+999999", "currency": "EUR"}}))  # fmt: skip
    came(
        store,
        "shopify",
        *shops.shopify(shops.order(1, email="b@example.org", line_items=[{"title": "x", "quantity": nested(300)}])),
    )
    many = {"amount": "40000000000000000.00", "currency": "EUR"}
    came(store, "shopify", *shops.shopify({**shops.refund(2), "transactions": [many] * 5}, "refunds/create"))
    ordered(store, id_=2, email="c@example.org")
    for _ in range(3):
        pipeline.apply_inbound(store, settings, LATER)
    with store.read() as session:
        kinds = sorted(session.execute(select(col(Event.source_id))).scalars())
        assert not session.execute(select(RawBody).where(col(RawBody.state) == "new")).all()
    assert f"order_completed:{9_007_199_254_741_002}" in kinds
