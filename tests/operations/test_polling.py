"""Going and looking: what is new is kept with how far we looked, nothing twice, and one deaf ear stops no other."""

import asyncio
import base64
import hmac
import json
import mailbox
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from passaparola import engine
from passaparola.channel import registry
from passaparola.channels.twitter.receiver import TwitterReceiver
from passaparola.errors import Forged
from passaparola.operations import polling
from passaparola.outbox import answer
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Address, Contact, Conversation, Event, PollCursor, RawBody, Turn
from tests import providers
from tests.conftest import NOW
from tests.fakes import twitter
from tests.outbox.test_guards import drained
from tests.people import add

SECRET = "right"


@pytest.fixture
def x(monkeypatch: pytest.MonkeyPatch) -> Iterator[twitter.Fake]:
    with twitter.Fake() as fake:
        for name in ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET"):
            monkeypatch.setenv(f"PASSAPAROLA_TWITTER_{name}", "right")
        monkeypatch.setenv("PASSAPAROLA_TWITTER_API_URL", fake.url)
        yield fake


def listened(store: Store, settings: Settings) -> polling.PollResult:
    looked = asyncio.run(polling.poll_channels(store, settings, NOW))
    engine.tick(store, settings, NOW, actor="t")
    return looked


def mention(number: int, text: str, author: str = "7", **more: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "text": text,
        "author_id": author,
        "created_at": "2026-04-21T08:00:00.000Z",
        "conversation_id": str(number),
        **more,
    }


def count(store: Store, table: Any) -> int:
    with store.read() as session:
        return session.execute(select(func.count()).select_from(table)).scalar_one()


def test_mentions_and_direct_messages_become_conversations_of_a_new_contact(
    store: Store, settings: Settings, x: twitter.Fake
) -> None:
    x.mentions = [
        mention(2001, "@bottega il miele è buonissimo"),
        mention(2002, "our own answer", author="42"),
        mention(2003, "@bottega e il mio pacco?", in_reply_to_user_id="42"),
    ]
    x.direct = [
        {
            "id": "3001",
            "text": "Il pacco non è arrivato",
            "sender_id": "7",
            "created_at": "2026-04-21T08:05:00Z",
            "dm_conversation_id": "7-42",
        }
    ]
    for _ in range(2):
        listened(store, settings)
    with store.read() as session:
        people = session.execute(select(col(Address.medium), col(Address.value))).all()
        kinds = session.execute(select(col(Event.kind)).order_by(col(Event.source_id))).scalars().all()
        private = session.execute(select(Conversation).where(col(Conversation.thread) == "direct:7-42")).scalar_one()
        mark = json.loads(session.get_one(PollCursor, "twitter").since)
    assert [tuple(row) for row in people] == [("twitter", "lucia_in_cucina")]
    assert kinds == ["replied", "mentioned", "replied"]
    assert private.kind == "complaint"
    assert mark == {"mention": "2003", "direct": "3001"}
    assert count(store, Turn) == 3
    assert any("since_id=2003" in path for path in x.reads)  # what is known is not read again, which costs


def test_an_answer_on_x_goes_into_the_thread_or_the_direct_messages(
    store: Store, settings: Settings, x: twitter.Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from passaparola import settings as module

    monkeypatch.setenv("PASSAPAROLA_SOCIAL_CHANNEL", "live")
    module.get_settings.cache_clear()
    own = module.get_settings()
    x.mentions = [mention(2001, "@bottega do you ship to Ireland?")]
    x.direct = [
        {
            "id": "3001",
            "text": "Il pacco non è arrivato",
            "sender_id": "7",
            "created_at": "2026-04-21T08:05:00Z",
            "dm_conversation_id": "7-42",
        }
    ]
    listened(store, own)
    with store.write() as session:
        for one in session.execute(select(Conversation)).scalars().all():
            answer.send_answer(session, own, one.id or 0, f"Sì, {one.kind}.", actor="marta", now=NOW)
    drained(store, own)
    said = {post.get("conversation") or post["reply"]["in_reply_to_tweet_id"]: post["written"] for post in x.posts}
    assert said == {"2001": "Sì, question.", "7-42": "Sì, complaint."}
    module.get_settings.cache_clear()


def test_a_revoked_key_stops_only_its_own_ear(
    store: Store, settings: Settings, x: twitter.Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PASSAPAROLA_TWITTER_ACCESS_TOKEN", "revoked")
    box = mailbox.Maildir(tmp_path / "box")
    monkeypatch.setenv("PASSAPAROLA_MAIL_MAILDIR", str(tmp_path / "box"))
    box.add(providers.letter("Dov'è il pacco?"))
    looked = listened(store, settings)
    assert looked.received == {"mail": 1}
    assert "renew them" in looked.problems["twitter"]
    with store.read() as session:
        assert "renew them" in session.get_one(PollCursor, "twitter").problem
    assert count(store, Conversation) == 1


def test_a_maildir_is_read_once_and_emptied_only_after_it_is_on_disk(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PASSAPAROLA_MAIL_MAILDIR", str(tmp_path / "box"))
    box = mailbox.Maildir(tmp_path / "box")
    letter = providers.letter("Una parola", name="<same@example.org>")
    for _ in range(2):  # delivered twice, as mail is
        box.add(letter)
    listened(store, settings)
    assert len(list((tmp_path / "box" / "new").iterdir())) == 2
    listened(store, settings)
    assert len(list((tmp_path / "box" / "new").iterdir())) == 0
    assert (count(store, RawBody), count(store, Turn), count(store, Contact)) == (2, 1, 1)


def test_a_letter_by_someone_else_in_the_thread_is_theirs_and_makes_no_alias(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from passaparola.channel.message_ids import sign_message_id
    from tests.outbox.test_guards import released

    with store.write() as session:
        add(session, "Alice", NOW)
        add(session, "Bob", NOW)
    released(store, settings)
    ours = f"<{sign_message_id(settings.secret, '1-0-email')}.passaparola@bottega.example>"
    monkeypatch.setenv("PASSAPAROLA_MAIL_MAILDIR", str(tmp_path / "box"))
    box = mailbox.Maildir(tmp_path / "box")
    for n, sender in enumerate(("bob@example.org", "alice.at.work@example.com")):
        box.add(providers.letter("Che bella lettera!", sender=sender, answers=ours, name=f"<{n}@x>"))
    listened(store, settings)
    with store.read() as session:
        rows = session.execute(
            select(col(Event.contact_id), col(Event.enrolment_id)).order_by(col(Event.contact_id))
        ).all()
        assert [tuple(row) for row in rows] == [
            (1, 1),
            (2, None),
        ]  # at work she still is Alice; Bob answers for himself
        assert session.execute(select(func.count()).select_from(Address)).scalar_one() == 2


def test_x_is_believed_by_its_signature_and_answered_when_it_asks(x: twitter.Fake) -> None:
    body = json.dumps({"for_user_id": "42", "tweet_create_events": []}).encode()
    right = "sha256=" + base64.b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode()
    ear = TwitterReceiver()
    assert ear.verify({"x-twitter-webhooks-signature": right}, body, NOW)
    for wrong in ("", right[:-4], right.removeprefix("sha256="), "sha256=§"):
        with pytest.raises(Forged):
            ear.verify({"x-twitter-webhooks-signature": wrong}, body, NOW)
    with pytest.raises(Forged):
        ear.verify({"x-twitter-webhooks-signature": right}, body + b" ", NOW)
    digest = base64.b64encode(hmac.digest(SECRET.encode(), b"abc", "sha256")).decode()
    assert json.loads(ear.challenge({"crc_token": "abc"}) or "")["response_token"] == f"sha256={digest}"
    assert ear.challenge({}) is None


def test_every_ear_that_is_told_or_looks_is_in_the_folder() -> None:
    assert {"shopify", "sendgrid", "sendgrid_inbound", "twitter", "mail"} <= set(registry.receiver_names())
    assert {"mail", "twitter"} <= set(registry.poll_names())


def test_what_time_alone_brings_about_is_done_once(store: Store, settings: Settings) -> None:
    with store.write() as session:
        add(session, "Alice", NOW)
    first, second = (polling.run_maintenance(store, settings, NOW + timedelta(hours=n)) for n in (0, 1))
    assert first["people who stand elsewhere"] == 1
    assert not +second
