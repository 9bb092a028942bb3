"""Mastodon: the key that makes a second try the same post, pictures, answers, and what is said to us."""

from collections.abc import Iterator

import pytest

from passaparola.channel.sender import Media, Part, Skeleton
from passaparola.channels.mastodon.receiver import MastodonReceiver
from passaparola.channels.mastodon.sender import MastodonSender, count_chars
from passaparola.errors import Unavailable
from passaparola.settings import Settings
from tests.channels.test_contract import dispatch, set_to, told
from tests.fakes import mastodon


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[mastodon.Fake]:
    with mastodon.Fake() as fake:
        set_to(monkeypatch, fake.env)
        yield fake


def post(text: str, *media: Media) -> Skeleton:
    return Skeleton({"text": Part((text,))}, media)


def test_a_link_counts_as_it_counts_there() -> None:
    assert count_chars("see https://shop.example/a/very/long/path/that/goes/on/and/on") == 4 + 23


async def test_what_is_in_doubt_is_sent_again_under_the_same_key_and_stands_once(instance: mastodon.Fake) -> None:
    channel, given = MastodonSender(), dispatch("mastodon")
    instance.lose()
    await told(channel, given)
    instance.posts[0]["source"] = "as if a filter had changed it"
    assert (await channel.look_up(given)).absent == {"9-0-mastodon"}
    await channel.send(given)
    assert len(instance.posts) == 1


async def test_another_message_has_another_key(instance: mastodon.Fake) -> None:
    channel = MastodonSender()
    first, second = dispatch("mastodon"), dispatch("mastodon")
    object.__setattr__(second.messages[0], "id", "10-0-mastodon")
    await channel.send(first)
    await channel.send(second)
    assert len(instance.posts) == 2


async def test_a_rate_limit_is_not_slept_through(instance: mastodon.Fake) -> None:
    channel = MastodonSender()
    instance.fail(429)
    said = await told(channel, dispatch("mastodon"))
    assert isinstance(said, Unavailable)
    assert said.after > 1000


async def test_a_picture_goes_with_its_words(instance: mastodon.Fake, settings: Settings) -> None:
    (settings.home / "templates" / "hello" / "box.png").write_bytes(b"\x89PNG" + b"0" * 100)
    await MastodonSender().send(
        dispatch("mastodon", skeleton=post("A box", Media("templates/hello/box.png", "An open box")))
    )
    assert instance.pictures["900"]["alt"] == "An open box"
    assert instance.posts[0]["media"] == ["900"]


ACCOUNT = {"id": "7", "username": "lucia", "acct": "lucia@cucina.example", "display_name": "Lucia"}


def status(id_: str, text: str, **more: object) -> dict[str, object]:
    return {
        "id": id_,
        "created_at": "2026-04-20T10:00:00.000Z",
        "account": ACCOUNT,
        "content": f"<p>{text}</p>",
        "visibility": "public",
        "in_reply_to_id": None,
        "source": text,
        **more,
    }


async def test_mentions_in_public_and_private_are_heard_once(instance: mastodon.Fake) -> None:
    seen = {"created_at": "2026-04-20T10:00:00.000Z", "account": ACCOUNT}
    instance.notifications += [
        {
            "id": "1",
            "type": "mention",
            **seen,
            "status": status("501", "Che buono il miele di <a href='#'>@bottega</a>!"),
        },
        {"id": "2", "type": "mention", **seen, "status": status("502", "Un reclamo", visibility="direct")},
        {"id": "3", "type": "favourite", **seen, "status": status("503", "x")},
    ]
    bodies, mark = await MastodonReceiver().poll("")
    found = [one for body in bodies for one in MastodonReceiver().parse({}, body.content).events]
    assert sorted(one.kind for one in found) == ["liked", "mentioned", "replied"]
    assert {one.addresses["mastodon"] for one in found} == {"lucia@cucina.example"}
    mention = next(one.text for one in found if one.kind == "mentioned")
    private = next(one.text for one in found if one.kind == "replied")
    assert mention is not None
    assert private is not None
    assert "Che buono il miele di @bottega" in mention.text
    assert private.thread == "direct:lucia@cucina.example"
    assert (await MastodonReceiver().poll(mark))[0] == []


async def test_an_answer_names_whom_it_answers(instance: mastodon.Fake) -> None:
    instance.others["501"] = status("501", "?", visibility="unlisted")
    channel = MastodonSender()
    for replied in ("501", "direct:lucia@cucina.example"):
        given = dispatch("mastodon", skeleton=post(f"Grazie ({replied})"))
        object.__setattr__(given.messages[0], "headers", {"In-Reply-To": replied})
        object.__setattr__(given.messages[0], "id", f"{len(replied)}-0-mastodon")
        await channel.send(given)
    public, private = instance.posts
    assert public["source"].startswith("@lucia@cucina.example Grazie")
    assert (public["in_reply_to_id"], public["visibility"]) == ("501", "unlisted")
    assert private["visibility"] == "direct"
