"""One campaign on every network at once: each post once, each network for itself, and none counted before it is seen."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select
from sqlmodel import col

from passaparola import engine
from passaparola.channel import registry
from passaparola.channel.receiver import InboundText
from passaparola.contacts import consent
from passaparola.contacts.addresses import address_key
from passaparola.conversations import threads
from passaparola.conversations.threads import IncomingText
from passaparola.errors import Unknown
from passaparola.inbound import store as inbound_store
from passaparola.journeys import launch
from passaparola.operations import alerts, polling
from passaparola.outbox import answer, ledger, reconcile
from passaparola.outbox.deliver import Drain
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store import incidents
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Address, Batch, ChannelIncident, Event, Message
from tests import fakes
from tests.channels.test_contract import set_to
from tests.conftest import NOW
from tests.fakes._network import Answer, Call, FakeNetwork
from tests.people import SECRET, add, crowd

PUBLIC = sorted(name for name in registry.sender_names() if registry.sender_class(name).public)
FAKED = [name for name in PUBLIC if name != "rss"]


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[dict[str, Any]]:
    """Every public network's fake at once, and a campaign that speaks on all of them."""
    campaign = settings.home / "campaigns" / "hello.yaml"
    campaign.write_text(campaign.read_text().replace("by: [email]", f"by: [email, {', '.join(PUBLIC)}]"))
    (settings.home / "templates" / "hello" / "post.txt").write_text("The honey is here. https://shop.example/honey")
    monkeypatch.setattr("passaparola.outbox.read_back.READ_BACK_DELAYS_SECONDS", (0.0, 0.01))
    with ExitStack() as stack:
        there = {name: stack.enter_context(fakes.of(name)) for name in PUBLIC}
        for fake in there.values():
            set_to(monkeypatch, fake.env)
        monkeypatch.setenv("PASSAPAROLA_SOCIAL_CHANNEL", "live")
        from passaparola import settings as module

        module.get_settings.cache_clear()
        yield there


@pytest.fixture
def live(networks: dict[str, Any]) -> Settings:
    from passaparola import settings as module

    return module.get_settings()


def released(store: Store, own: Settings) -> int:
    freeze = freezer(own)
    made = launch.prepare(store, own, "hello", freeze, actor="t", now=utc_now())
    launch.approve(store, own, made.id or 0, made.hash, freeze, approver="Ada", now=utc_now())
    engine.start_launch(store, own, made.id or 0, actor="t", now=utc_now())
    return made.id or 0


def drained(store: Store, own: Settings, now: datetime | None = None) -> None:
    asyncio.run(Drain(store, own, clock=(lambda: now) if now else utc_now).run())


def posts(store: Store, made: int) -> dict[str, ledger.Post]:
    with store.read() as session:
        return {post.medium: post for post in ledger.tally_launch(session, made).posts}


def test_one_step_posts_once_on_every_network_and_says_where(
    store: Store, live: Settings, networks: dict[str, Any]
) -> None:
    crowd(store, 3, NOW)
    made = released(store, live)
    drained(store, live)
    drained(store, live)
    assert {name: networks[name].accepted() for name in FAKED} == dict.fromkeys(FAKED, 1)
    found = posts(store, made)
    assert {post.state for post in found.values()} == {"sent"}
    assert {name for name, post in found.items() if post.url.startswith("http")} == set(FAKED)
    with store.read() as session:
        assert ledger.tally_launch(session, made).total("sent") == 3


def test_a_network_that_fails_holds_up_no_other_and_goes_on_when_it_is_mended(
    store: Store, live: Settings, networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(store, 3, NOW)
    set_to(monkeypatch, networks["facebook"].wrong, "revoked")
    networks["linkedin"].fail(429)
    made = released(store, live)
    drained(store, live)
    found = posts(store, made)
    assert {name for name, post in found.items() if post.state == "sent"} == set(PUBLIC) - {"facebook", "linkedin"}
    assert "passaparola channel resume facebook" in found["facebook"].reason
    with store.read() as session:
        assert ledger.tally_launch(session, made).total("sent") == 3
        assert [one.name for one in incidents.channel_statuses(session, live.time_zone) if one.paused] == ["facebook"]
    calls = len(networks["facebook"].calls)
    drained(store, live)
    assert len(networks["facebook"].calls) == calls
    set_to(monkeypatch, networks["facebook"].env)
    with store.write() as session:
        incidents.resume_channel(session, "facebook", actor="Ada", now=utc_now())
    drained(store, live, utc_now() + timedelta(minutes=20))
    assert {post.state for post in posts(store, made).values()} == {"sent"}
    assert {name: networks[name].accepted() for name in FAKED} == dict.fromkeys(FAKED, 1)


def test_a_paused_channel_is_told_once_to_whoever_runs_this(
    store: Store, live: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    reachable = [False, True, True]
    monkeypatch.setattr(alerts, "_send", lambda settings, text: reachable.pop(0) and (told.append(text) or True))
    own = live.model_copy(update={"alert_urls": "json://127.0.0.1:9"})
    for _ in range(3):
        with store.write() as session:
            incidents.open_incident(session, "facebook", "sending", "the page token is over", NOW)
        alerts.send_alerts(store, own)
    assert len(told) == 1
    assert "facebook is paused since 21 April, 11:00: the page token is over" in told[0]
    with store.write() as session:
        incidents.resume_channel(session, "facebook", actor="Ada", now=NOW)
    with store.read() as session, pytest.raises(Unknown, match="not paused"):
        incidents.resume_channel(session, "facebook", actor="Ada", now=NOW)
    with store.write() as session:
        incidents.open_incident(session, "facebook", "sending", "again", NOW)
    alerts.send_alerts(store, own)
    assert len(told) == 2


@pytest.mark.parametrize("name", FAKED)
def test_a_lost_answer_ends_as_one_post(name: str, store: Store, live: Settings, networks: dict[str, Any]) -> None:
    """By the whole way: call, doubt, look-up, and a second call only where the first was certainly in vain."""
    networks[name].lose()
    made = released(store, live)
    drained(store, live)
    assert posts(store, made)[name].state == "unknown"
    later = utc_now() + timedelta(hours=1)
    asyncio.run(reconcile.reconcile(store, later))
    drained(store, live, later)
    assert networks[name].accepted() == 1
    assert posts(store, made)[name].state == ("unknown" if name == "telegram" else "sent")


def test_mastodon_forgets_its_keys_within_the_hour_and_the_post_is_found_all_the_same(
    store: Store, live: Settings, networks: dict[str, Any]
) -> None:
    """F34"""
    networks["mastodon"].lose()
    made = released(store, live)
    drained(store, live)
    networks["mastodon"].keys.clear()
    later = utc_now() + timedelta(minutes=61)
    asyncio.run(reconcile.reconcile(store, later))
    drained(store, live, later)
    assert networks["mastodon"].accepted() == 1
    assert posts(store, made)["mastodon"].state == "sent"


@pytest.mark.parametrize("name", [name for name in FAKED if name != "telegram"])
def test_a_post_that_never_appears_is_not_reported_as_sent_nor_posted_again(
    name: str, store: Store, live: Settings, networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = registry.sender_class(name)
    read = kind.read_back

    async def nowhere(self: Any, receipt: str) -> bool | None:
        networks[name].hidden.add(receipt)
        return await read(self, receipt)

    monkeypatch.setattr(kind, "read_back", nowhere)
    made = released(store, live)
    drained(store, live)
    assert posts(store, made)[name].state == "unknown"
    later = utc_now() + timedelta(hours=1)
    asyncio.run(reconcile.reconcile(store, later))
    drained(store, live, later)
    ended = posts(store, made)[name]
    assert (ended.state, "see the account" in ended.reason) == ("failed", True)
    assert networks[name].accepted() == 1


def test_a_post_that_appears_late_is_sent_after_all(
    store: Store, live: Settings, networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, late = registry.sender_class("linkedin"), [True]
    read = kind.read_back

    async def slowly(self: Any, receipt: str) -> bool | None:
        return False if late[0] else await read(self, receipt)

    monkeypatch.setattr(kind, "read_back", slowly)
    made = released(store, live)
    drained(store, live)
    late[0] = False
    asyncio.run(reconcile.reconcile(store, utc_now() + timedelta(hours=1)))
    assert posts(store, made)["linkedin"].state == "sent"


def test_the_same_words_again_are_posted_on_no_network_twice(
    store: Store, live: Settings, networks: dict[str, Any]
) -> None:
    for _ in range(2):
        released(store, live)
        drained(store, live)
    assert {name: networks[name].accepted() for name in FAKED} == dict.fromkeys(FAKED, 1)


def on_the_phone(store: Store, name: str, medium: str) -> int:
    """Someone who said yes on a medium of their phone."""
    with store.write() as session:
        id_ = add(session, name, NOW)
        number = f"+3934700000{id_:02}"
        session.add(Address(medium="phone", value=number, contact_id=id_, key=address_key(SECRET, "phone", number)))
        session.flush()
        consent.record(session, id_, medium, "newsletter", True, at=NOW, source="the tests", basis="consent")
    return id_


def test_whatsapp_writes_freely_only_to_who_wrote_within_a_day(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lucia, _ = on_the_phone(store, "Lucia", "whatsapp"), on_the_phone(store, "Marco", "whatsapp")
    campaign = settings.home / "campaigns" / "hello.yaml"
    campaign.write_text(campaign.read_text().replace("by: [email]", "by: [whatsapp]"))
    free = settings.home / "templates" / "hello" / "whatsapp.txt"
    free.write_text("Ciao, the honey is here.")
    with store.write() as session:
        event = Event(
            contact_id=lucia,
            kind="replied",
            at=utc_now(),
            received_at=utc_now(),
            source="whatsapp",
            source_id="1",
            medium="whatsapp",
        )
        session.add(event)
        session.flush()
        spoken = IncomingText(lucia, event.id or 0, "whatsapp", "whatsapp", utc_now(), InboundText("I love your honey"))
        threads.receive(session, settings, spoken, utc_now())
    made = released(store, settings)
    drained(store, settings)
    with store.read() as session:
        found = ledger.tally_launch(session, made)
    assert found.total("sent") == 1
    assert any("more than 24 hours ago" in why for why in found.reasons)
    free.write_text(
        "---\ntemplate: {name: HX1, places: ['{{ contact.first_name }}']}\n---\nCiao, {{ contact.first_name }}."
    )
    again = released(store, settings)
    drained(store, settings)
    with store.read() as session:
        assert ledger.tally_launch(session, again).total("sent") == 2


def test_a_stop_by_sms_is_a_no_to_sms_and_to_nothing_else(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lucia = on_the_phone(store, "Lucia", "sms")
    body = urlencode({"MessageSid": "SM1", "From": f"+3934700000{lucia:02}", "Body": "Stop"}).encode()
    with store.write() as session:
        inbound_store.store_body(
            session, inbound_store.NewBody("sms", "SM1:said", {":path": "/webhooks/sms"}, body, utc_now(), True)
        )
    engine.tick(store, settings, utc_now(), actor="t")
    campaign = settings.home / "campaigns" / "hello.yaml"
    campaign.write_text(campaign.read_text().replace("by: [email]", "by: [sms, email]"))
    (settings.home / "templates" / "hello" / "sms.txt").write_text("The honey is here. Reply STOP to opt out.")
    made = released(store, settings)
    drained(store, settings)
    with store.read() as session:
        states = Counter(
            (row.medium, row.state or "sent", row.reason) for row in session.execute(select(Message)).scalars()
        )
        assert session.execute(select(col(ChannelIncident.channel))).first() is None
    assert states == {("sms", "held", "said no to newsletter by sms"): 1, ("email", "sent", None): 1}
    assert made


def test_a_lost_answer_of_twilio_is_decided_by_what_it_tells_later(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lucia = on_the_phone(store, "Lucia", "sms")
    campaign = settings.home / "campaigns" / "hello.yaml"
    campaign.write_text(campaign.read_text().replace("by: [email]", "by: [sms]"))
    (settings.home / "templates" / "hello" / "sms.txt").write_text("The honey is here. Reply STOP to opt out.")
    monkeypatch.setenv("PASSAPAROLA_SOCIAL_CHANNEL", "live")
    from passaparola import settings as module

    module.get_settings.cache_clear()
    own = module.get_settings()
    with fakes.of("sms") as twilio:
        set_to(monkeypatch, twilio.env)
        twilio.lose()
        made = released(store, own)
        drained(store, own)
        asyncio.run(reconcile.reconcile(store, utc_now() + timedelta(hours=1)))
        drained(store, own, utc_now() + timedelta(hours=1))
        assert twilio.accepted() == 1
        with store.read() as session:
            assert ledger.tally_launch(session, made).total("unknown") == 1
        callback = twilio.posts[0]["StatusCallback"].removeprefix("https://shop.example")
    body = urlencode({"MessageSid": "SM1", "MessageStatus": "delivered", "To": f"+3934700000{lucia:02}"}).encode()
    with store.write() as session:
        inbound_store.store_body(
            session, inbound_store.NewBody("sms", "SM1:delivered", {":path": callback}, body, utc_now(), False)
        )
    engine.tick(store, own, utc_now(), actor="t")
    with store.read() as session:
        assert ledger.tally_launch(session, made).total("sent") == 1
        kinds = [event.kind for event in session.execute(select(Event).where(col(Event.contact_id) == lucia)).scalars()]
        assert kinds == ["delivered"]


def test_what_is_said_under_a_post_is_counted_under_it(store: Store, live: Settings, networks: dict[str, Any]) -> None:
    made = released(store, live)
    drained(store, live)
    uri = networks["bluesky"].records and next(iter(networks["bluesky"].records))
    lucia = {"did": "did:plc:lucia", "handle": "lucia.example"}
    root = {"uri": uri, "cid": "c"}
    for number, more in enumerate(
        [{"reason": "reply", "record": {"text": "Lovely!", "reply": {"root": root, "parent": root}}},
         {"reason": "like", "record": {}, "reasonSubject": uri}, {"reason": "repost", "record": {}, "reasonSubject": uri}]
    ):  # fmt: skip
        told = {
            "uri": f"at://did:plc:lucia/x/{number}",
            "cid": "c",
            "author": lucia,
            "indexedAt": f"2026-04-20T10:0{number}:00.000Z",
        }
        networks["bluesky"].notifications.append(told | more)
    asyncio.run(polling.poll_channels(store, live, utc_now()))
    engine.tick(store, live, utc_now(), actor="t")
    found = posts(store, made)["bluesky"]
    assert (found.comments, found.liked, found.shared) == (1, 1, 1)


def test_after_a_stop_no_topic_at_all_is_written_about_by_that_medium(store: Store, settings: Settings) -> None:
    """Also when a letter of one topic has just gone out: a word on a phone is about none in particular."""
    lucia = on_the_phone(store, "Lucia", "sms")
    with store.write() as session:
        consent.record(session, lucia, "sms", "after_sales", True, at=NOW, source="the tests", basis="consent")
    campaign = settings.home / "campaigns" / "hello.yaml"
    campaign.write_text(campaign.read_text().replace("by: [email]", "by: [sms]"))
    (settings.home / "templates" / "hello" / "sms.txt").write_text("The honey is here. Reply STOP to opt out.")
    released(store, settings)
    drained(store, settings)
    body = urlencode({"MessageSid": "SM1", "From": f"+3934700000{lucia:02}", "Body": "Stop"}).encode()
    with store.write() as session:
        inbound_store.store_body(
            session, inbound_store.NewBody("sms", "SM1:said", {":path": "/webhooks/sms"}, body, utc_now(), True)
        )
    engine.tick(store, settings, utc_now(), actor="t")
    with store.read() as session:
        assert not consent.may_be_written_to(session, lucia, "sms", "after_sales")
        assert not consent.may_be_written_to(session, lucia, "sms", "newsletter")


def test_a_stop_from_a_number_that_nobody_knows_holds_when_it_comes_to_be_known(
    store: Store, settings: Settings
) -> None:
    body = urlencode({"MessageSid": "SM1", "From": "+393470000001", "Body": "STOP"}).encode()
    with store.write() as session:
        inbound_store.store_body(
            session, inbound_store.NewBody("sms", "SM1:said", {":path": "/webhooks/sms"}, body, utc_now(), True)
        )
    engine.tick(store, settings, utc_now(), actor="t")
    on_the_phone(store, "Lucia", "sms")
    campaign = settings.home / "campaigns" / "hello.yaml"
    campaign.write_text(campaign.read_text().replace("by: [email]", "by: [sms]"))
    (settings.home / "templates" / "hello" / "sms.txt").write_text("The honey is here. Reply STOP to opt out.")
    made = released(store, settings)
    drained(store, settings)
    with store.read() as session:
        assert ledger.tally_launch(session, made).reasons == {"held: suppressed: said stop before we knew them": 1}


def test_one_person_s_no_pauses_no_network(store: Store, live: Settings, networks: dict[str, Any]) -> None:
    answered(store, live, InboundText("Ciao", external_id="m1", thread="direct:4242"))
    networks["facebook"].fail(403)
    drained(store, live)
    with store.read() as session:
        assert incidents.open_incidents(session) == []
        assert session.execute(select(col(Message.state))).scalars().all() == ["failed"]


def test_two_workers_may_meet_the_same_refusal(store: Store, settings: Settings) -> None:
    with store.write() as session:
        incidents.open_incident(session, "twitter", "sending", "refused", NOW)
        session.flush()
        incidents.open_incident(session, "twitter", "sending", "refused", NOW)
    with store.read() as session:
        assert [one.reason for one in incidents.open_incidents(session)] == ["refused"]


def answered(store: Store, own: Settings, said: InboundText) -> None:
    """Lucia said something on Facebook, and Ada has written back."""
    with store.write() as session:
        lucia = add(session, "Lucia", NOW)
        session.add(
            Address(medium="facebook", value="4242", contact_id=lucia, key=address_key(SECRET, "facebook", "4242"))
        )
        event = Event(
            contact_id=lucia,
            kind="replied",
            at=NOW,
            received_at=NOW,
            source="facebook",
            source_id="1",
            medium="facebook",
        )
        session.add(event)
        session.flush()
        made = threads.receive(session, own, IncomingText(lucia, event.id or 0, "facebook", "facebook", NOW, said), NOW)
        answer.send_answer(session, own, made.id or 0, "We do!", actor="Ada", now=utc_now())  # type: ignore[union-attr]


def test_a_lost_answer_to_a_comment_is_not_said_twice(store: Store, live: Settings, networks: dict[str, Any]) -> None:
    """It stands under a post, not among the page's own: nothing proves that it is absent."""
    answered(store, live, InboundText("Do you ship to Sicily?", external_id="77_1_5", thread="77_1"))
    networks["facebook"].lose()
    drained(store, live)
    later = utc_now() + timedelta(hours=1)
    asyncio.run(reconcile.reconcile(store, later))
    drained(store, live, later)
    assert [one["on"] for one in networks["facebook"].posts] == ["77_1_5"]


def test_an_answer_in_private_counts_as_sent_though_no_page_shows_it(
    store: Store, live: Settings, networks: dict[str, Any]
) -> None:
    answered(store, live, InboundText("Ciao", external_id="m1", thread="direct:4242"))
    drained(store, live)
    with store.read() as session:
        assert session.execute(select(col(Batch.state))).scalars().all() == ["sent"]
    assert networks["facebook"].posts[0]["recipient"] == {"id": "4242"}


class Bell(FakeNetwork):
    def handle(self, call: Call) -> Answer:
        self.posts.append(call.json())
        return Answer(200, {})


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # one of Apprise's many plugins
def test_the_bell_rings_where_apprise_says(store: Store, settings: Settings) -> None:
    with store.write() as session:
        incidents.open_incident(session, "linkedin", "receiving", "LinkedIn refused the key", NOW)
    with Bell() as bell:
        own = settings.model_copy(update={"alert_urls": bell.url.replace("http://", "json://")})
        assert (alerts.send_alerts(store, own), alerts.send_alerts(store, own)) == (1, 0)
    (rung,) = bell.posts
    assert rung["title"] == "Bottega Passaparola: a channel needs you"
    assert rung["message"] == "linkedin receives nothing since 21 April, 11:00: LinkedIn refused the key"
