"""Whoever orders is thanked, without having said yes to anything; whoever said no to it is not; and no offer comes with it."""

import email
import email.policy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from passaparola import engine
from passaparola.contacts import consent
from passaparola.contacts.addresses import address_key
from passaparola.errors import BadContent
from passaparola.journeys import launch
from passaparola.operations.check_content import transactional_wordings
from passaparola.outbox import ledger
from passaparola.outbox.render.check import find_offers
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Event
from tests.conversations.test_threads import speak
from tests.outbox.test_guards import drained, released
from tests.people import SECRET, add

TOPICS = """newsletter:
  en: {title: The monthly letter}
after_sales:
  en: {title: After your order}
  basis: transactional
"""
THANKS = "title: Thanks\ntopic: after_sales\nenter: {on: order_completed, key: order_id}\nsteps:\n  - {say: hello, by: [email]}\n"


@pytest.fixture
def thanks(settings: Settings) -> Settings:
    (settings.home / "policies").mkdir()
    (settings.home / "policies" / "topics.yaml").write_text(TOPICS)
    (settings.home / "campaigns" / "thanks.yaml").write_text(THANKS)
    return settings


def stands(store: Store, settings: Settings) -> int:
    freeze, now = freezer(settings), utc_now() - timedelta(minutes=1)
    made = launch.prepare(store, settings, "thanks", freeze, actor="t", now=now)
    launch.approve(store, settings, made.id or 0, made.hash, freeze, approver="Ada", now=now)
    launch.release(store, made.id or 0, actor="t", now=now)
    return made.id or 0


def orders(session: Any, contact: int, at: datetime) -> None:
    session.add(
        Event(contact_id=contact, kind="order_completed", at=at, received_at=at, source="shop", source_id=f"{contact}",
              properties={"order_id": f"{contact}"}, amount=2900, currency="EUR")
    )  # fmt: skip


def letters(settings: Settings) -> dict[str, Any]:
    box = settings.var / "mailbox" / "email" / "new"
    read = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in box.iterdir()]
    return {str(mail["To"]).partition("<")[2].rstrip(">") or str(mail["To"]): mail for mail in read}


def test_a_buyer_is_thanked_without_any_yes_until_they_mute_it(store: Store, thanks: Settings) -> None:
    own = thanks.model_copy(update={"frequency_cap": "1 per 7 days"})
    with store.write() as session:
        now = utc_now()
        people = {
            "never asked": add(session, "Alice", now, says=None),
            "no to the newsletter": add(session, "Bob", now, says=False),
            "muted": add(session, "Carla", now, says=True),
            "no to everything": add(session, "Dario", now, says=None),
            "suppressed": add(session, "Elena", now, says=True),
            "in an open complaint": add(session, "Franz", now, says=True),
        }
        consent.record(session, people["muted"], "email", "after_sales", False, at=now, source="t")
        consent.record(session, people["no to everything"], "email", "*", False, at=now, source="t")
        consent.suppress(
            session, "email", address_key(SECRET, "email", "elena@example.org"), "hard bounce", at=now, source="t"
        )
        assert speak(session, thanks, people["in an open complaint"], "Il vaso era rotto, una vergogna", now)
    made = stands(store, own)
    with store.write() as session:
        for contact in people.values():
            orders(session, contact, utc_now())
    engine.tick(store, own, utc_now(), actor="t")
    drained(store, own)
    got = letters(own)
    assert set(got) == {"alice@example.org", "bob@example.org", "franz@example.org"}
    assert got["alice@example.org"]["Auto-Submitted"] == "auto-generated"
    assert got["alice@example.org"]["List-Unsubscribe"] is None
    with store.read() as session:
        found = ledger.tally_launch(session, made)
    assert found.reasons == {"held: muted after_sales by email": 2, "held: suppressed: hard bounce": 1}


def test_thanks_are_outside_the_cap_both_ways(store: Store, thanks: Settings) -> None:
    own = thanks.model_copy(update={"frequency_cap": "1 per 7 days"})
    with store.write() as session:
        alice = add(session, "Alice", utc_now())
    stands(store, own)
    with store.write() as session:
        orders(session, alice, utc_now())
    engine.tick(store, own, utc_now(), actor="t")
    drained(store, own)
    (own.home / "templates" / "hello" / "email.mjml").write_text(
        (own.home / "templates" / "hello" / "email.mjml").read_text().replace("Dear", "Dearest")
    )
    made = released(store, own)
    drained(store, own)
    with store.read() as session:
        assert ledger.tally_launch(session, made).total("sent") == 1  # the thank-you counts for no cap …
    with store.write() as session:
        session.add(
            Event(contact_id=alice, kind="order_completed", at=utc_now(), received_at=utc_now(), source="shop", source_id="2",
                  properties={"order_id": "second"})
        )  # fmt: skip
    engine.tick(store, own, utc_now(), actor="t")
    drained(store, own)
    assert len(list((own.var / "mailbox" / "email" / "new").iterdir())) == 3  # … and no cap holds one


@pytest.mark.parametrize(
    ("enter", "says"),
    [
        ("enter: {audience: readers}", "is transactional: it answers one person's order or request"),
        ("enter: {on: checkout_started}", "checkout_started is no order and no request"),
        ("enter: {on: clicked}", "clicked is no order and no request"),
    ],
)
def test_only_an_order_or_a_request_is_a_reason(enter: str, says: str, store: Store, thanks: Settings) -> None:
    path = thanks.home / "campaigns" / "thanks.yaml"
    path.write_text(THANKS.replace("enter: {on: order_completed, key: order_id}", enter))
    with pytest.raises(BadContent, match=says) as refused:
        launch.prepare(store, thanks, "thanks", freezer(thanks), actor="t", now=utc_now())
    assert "campaigns/thanks.yaml:" in str(refused.value)


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        ("Here is 10% off your next box", True), ("Use the coupon HONEY", True), ("Shop now", True), ("Un buono sconto per te", True),
        ("Le offerte di maggio", True), ("Your order is on its way", False), ("La tua cassetta parte domani", False), ("We offered it to the dog", False),
    ],
)  # fmt: skip
def test_an_offer_in_a_letter_without_a_yes_is_pointed_at(words: str, warned: bool, thanks: Settings) -> None:
    path = thanks.home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace("Dear", f"{words}, dear"))
    assert list(transactional_wordings(thanks)) == [("hello", "email", "thanks")]
    found = find_offers(thanks, "hello", "email", "thanks")
    assert [one.partition(":")[0] for one in found] == (["templates/hello/email.mjml"] if warned else [])


def test_the_shipped_follow_ups_need_no_setting() -> None:
    own = Settings(home=Path(__file__).parents[2])
    assert {campaign for _, _, campaign in transactional_wordings(own)} == {"post_purchase", "on_its_way"}
    assert not [found for said in transactional_wordings(own) for found in find_offers(own, *said)]
    assert "SOFT_OPT_IN" not in (own.home / "passaparola" / "demo" / "run.py").read_text()
