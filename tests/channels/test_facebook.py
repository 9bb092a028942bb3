"""A Facebook page: links and pictures, what its codes mean, and what is said on it."""

import hmac
import json
from collections.abc import Iterator

import orjson
import pytest

from passaparola.channel.sender import Media, Part, Skeleton
from passaparola.channels.facebook.receiver import FacebookReceiver
from passaparola.channels.facebook.sender import FacebookSender
from passaparola.errors import Blocked, Forged, Misconfigured, Refused, Unavailable
from passaparola.settings import Settings
from tests.channels.test_contract import dispatch, set_to, told
from tests.conftest import NOW
from tests.fakes import facebook
from tests.fakes._network import Answer


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[facebook.Fake]:
    with facebook.Fake() as fake:
        set_to(monkeypatch, fake.env)
        yield fake


def post(text: str, *media: Media) -> Skeleton:
    return Skeleton({"text": Part((text,))}, media)


async def test_a_post_shows_its_first_link(page: facebook.Fake) -> None:
    channel = FacebookSender()
    await channel.send(
        dispatch("facebook", skeleton=post("New honey. https://shop.example/a?b=1&c=2 and https://x.example"))
    )
    await channel.close()
    assert page.posts[0]["link"] == "https://shop.example/a?b=1&c=2"


async def test_pictures_go_up_unseen_with_words_for_them_and_are_shown_by_the_post(
    page: facebook.Fake, settings: Settings
) -> None:
    (settings.home / "templates" / "hello" / "box.png").write_bytes(b"\x89PNG" + b"0" * 1000)
    channel = FacebookSender()
    await channel.send(dispatch("facebook", skeleton=post("A box", Media("templates/hello/box.png", "An open box"))))
    await channel.close()
    assert (page.photos["900"]["alt"], page.photos["900"]["published"]) == ("An open box", "false")
    assert json.loads(page.posts[0]["attached_media[0]"]) == {"media_fbid": "900"}


async def test_the_wait_it_asks_for_is_in_a_header_of_its_own(page: facebook.Fake) -> None:
    channel = FacebookSender()
    page.fail(429)
    said = await told(channel, dispatch("facebook"))
    await channel.close()
    assert isinstance(said, Unavailable)
    assert said.after == 9 * 60


async def test_a_permission_that_is_missing_blocks(page: facebook.Fake) -> None:
    channel = FacebookSender()
    page.fail(403)
    assert isinstance(await told(channel, dispatch("facebook")), Blocked)
    await channel.close()


async def test_who_wrote_too_long_ago_is_refused_and_pauses_nobody(page: facebook.Fake) -> None:
    channel = FacebookSender()
    page._next = Answer(400, {"error": {"message": "outside of the window", "code": 10, "error_subcode": 2018278}})
    given = dispatch("facebook", skeleton=post("Thank you"))
    object.__setattr__(given.messages[0], "headers", {"In-Reply-To": "direct:4242"})
    assert isinstance(await told(channel, given), Refused)
    await channel.close()


async def test_the_same_words_as_an_older_post_are_refused_with_a_remedy(page: facebook.Fake) -> None:
    channel = FacebookSender()
    await channel.send(dispatch("facebook"))
    page.posts[0]["message"] += " "
    page.posts.append({**page.posts[0], "message": page.posts[0]["message"].strip(), "on": "elsewhere"})
    page.posts[0]["message"] = "another"
    said = await told(channel, dispatch("facebook"))
    await channel.close()
    assert isinstance(said, Refused)
    assert "change the wording" in str(said)


async def test_an_answer_goes_under_the_comment_or_into_the_messages(page: facebook.Fake) -> None:
    channel = FacebookSender()
    for answered in ("77_1_5", "direct:4242"):
        given = dispatch("facebook", skeleton=post("Thank you, Lucia"))
        message = given.messages[0]
        object.__setattr__(message, "headers", {"In-Reply-To": answered})
        await channel.send(given)
    await channel.close()
    assert [one["on"] for one in page.posts] == ["77_1_5", "77"]
    assert page.posts[1]["recipient"] == {"id": "4242"}


def told_by_webhook(*changes: object, messaging: object = None) -> bytes:
    entry = {"id": "77", "time": 1, "changes": [{"field": "feed", "value": value} for value in changes]}
    return orjson.dumps({"object": "page", "entry": [entry | ({"messaging": [messaging]} if messaging else {})]})


LUCIA = {"id": "4242", "name": "Lucia Bianchi"}
COMMENT = {
    "item": "comment", "verb": "add", "comment_id": "77_1_5", "post_id": "77_1", "from": LUCIA, "message": "Spedite in Sicilia?",
    "created_time": 1776761000,
}  # fmt: skip


def test_comments_reactions_shares_and_messages_are_heard(settings: Settings) -> None:
    private = {
        "sender": {"id": "4242"},
        "recipient": {"id": "77"},
        "timestamp": 1776761000123,
        "message": {"mid": "m1", "text": "Ciao"},
    }
    like = {
        "item": "reaction",
        "verb": "add",
        "post_id": "77_1",
        "from": LUCIA,
        "reaction_type": "love",
        "created_time": 1776761000,
    }
    own = COMMENT | {"from": {"id": "77", "name": "Bottega"}}
    found = FacebookReceiver().parse(
        {}, told_by_webhook(COMMENT, like, own, COMMENT | {"verb": "remove"}, messaging=private)
    )
    assert [(one.kind, one.addresses["facebook"]) for one in found.events] == [
        ("replied", "4242"),
        ("liked", "4242"),
        ("replied", "4242"),
    ]
    comment, _, message = found.events
    assert comment.text is not None
    assert (comment.text.external_id, comment.text.thread) == ("77_1_5", "77_1")
    assert message.text is not None
    assert message.text.thread == "direct:4242"


def test_one_odd_change_stops_no_other(settings: Settings) -> None:
    found = FacebookReceiver().parse({}, told_by_webhook(COMMENT | {"created_time": "soon"}, COMMENT))
    assert (len(found.events), len(found.problems)) == (1, 1)


def test_only_facebook_is_believed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    set_to(monkeypatch, {"FACEBOOK_APP_SECRET": "app secret", "FACEBOOK_VERIFY_TOKEN": "typed"})
    body = told_by_webhook(COMMENT)
    right = "sha256=" + hmac.digest(b"app secret", body, "sha256").hex()
    assert FacebookReceiver().verify({"x-hub-signature-256": right}, body, NOW)
    for wrong in (
        "",
        "sha256=",
        "sha1=" + right[7:],
        "sha256=zz",
        right[:-1] + "0" if right[-1] != "0" else right[:-1] + "1",
    ):
        with pytest.raises(Forged):
            FacebookReceiver().verify({"x-hub-signature-256": wrong}, body, NOW)
    with pytest.raises(Forged):
        FacebookReceiver().verify({"x-hub-signature-256": right}, body + b" ", NOW)


def test_it_is_asked_by_a_question_before_it_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured):
        FacebookReceiver.challenge({})
    set_to(monkeypatch, {"FACEBOOK_VERIFY_TOKEN": "typed"})
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}
    assert FacebookReceiver.challenge(asked | {"hub.verify_token": "typed"}) == "1158201444"
    assert FacebookReceiver.challenge(asked | {"hub.verify_token": "guessed"}) is None
