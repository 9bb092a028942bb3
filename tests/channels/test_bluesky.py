"""Bluesky: a key of our own, facets by the byte, graphemes, and what is said to us. With a PDS at hand, the real one too.

PASSAPAROLA_BLUESKY_PDS=http://127.0.0.1:2583 runs the last test against a PDS from @atproto/dev-env.
"""

import os
import secrets
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies

from passaparola.channel.sender import Media, Part, Skeleton
from passaparola.channels.bluesky.receiver import BlueskyReceiver
from passaparola.channels.bluesky.sender import BlueskySender, find_facets, graphemes, record_key
from passaparola.settings import Settings
from tests.channels.test_contract import dispatch, set_to, told
from tests.fakes import bluesky

PDS = os.environ.get("PASSAPAROLA_BLUESKY_PDS", "")


@pytest.fixture
def pds(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[bluesky.Fake]:
    with bluesky.Fake() as fake:
        set_to(monkeypatch, fake.env)
        yield fake


def post(text: str, *media: Media) -> Skeleton:
    return Skeleton({"text": Part((text,))}, media)


def test_a_family_is_one_sign() -> None:
    assert graphemes("👨‍👩‍👧‍👦" * 300) == 300
    assert BlueskySender.problems(post("👨‍👩‍👧‍👦" * 300)) == ["7500 bytes; Bluesky takes 3000"]
    assert "301" in BlueskySender.problems(post("x" * 301))[0]


def test_links_and_tags_are_found_by_the_byte() -> None:
    text = "È qui: https://shop.example/è #miele, davvero"
    raw = text.encode()
    found = [
        (raw[f["index"]["byteStart"] : f["index"]["byteEnd"]].decode(), f["features"][0]) for f in find_facets(text)
    ]
    assert [said for said, _ in found] == ["https://shop.example/è", "#miele"]
    assert found[1][1]["tag"] == "miele"


@given(strategies.text(max_size=80))
def test_a_facet_is_never_beside_its_words(text: str) -> None:
    whole = f"{text} https://shop.example/a {text} #miele"
    for facet in find_facets(whole):
        said = whole.encode()[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode()
        assert said in (facet["features"][0].get("uri"), "#" + str(facet["features"][0].get("tag")))


def test_the_key_is_the_same_each_time_and_another_for_another_message() -> None:
    first, again, other = dispatch("bluesky"), dispatch("bluesky", attempt=2), dispatch("bluesky")
    object.__setattr__(other.messages[0], "id", "10-0-bluesky")
    assert record_key(first) == record_key(again) != record_key(other)
    assert len(record_key(first)) == 13


async def test_a_picture_goes_with_its_words(pds: bluesky.Fake, settings: Settings) -> None:
    (settings.home / "templates" / "hello" / "box.png").write_bytes(b"\x89PNG" + b"0" * 100)
    channel = BlueskySender()
    await channel.send(dispatch("bluesky", skeleton=post("A box", Media("templates/hello/box.png", "An open box"))))
    await channel.close()
    (record,) = pds.records.values()
    assert record["embed"]["images"][0]["alt"] == "An open box"
    assert record["embed"]["images"][0]["image"]["mimeType"] == "image/png"


async def test_what_is_said_is_heard_once_and_answered_in_its_thread(
    pds: bluesky.Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lucia = {"did": "did:plc:lucia", "handle": "lucia.example"}
    root = {"uri": "at://did:plc:bottega/app.bsky.feed.post/1", "cid": "c1"}
    said = {
        "uri": "at://did:plc:lucia/app.bsky.feed.post/2",
        "cid": "c2",
        "author": lucia,
        "indexedAt": "2026-04-20T10:00:00.000Z",
    }
    reply = said | {
        "reason": "reply",
        "record": {"text": "Spedite in Sicilia?", "reply": {"root": root, "parent": root}},
    }
    like = said | {
        "uri": "at://did:plc:lucia/app.bsky.feed.like/3",
        "reason": "like",
        "record": {},
        "indexedAt": "2026-04-20T10:01:00.000Z",
    }
    pds.notifications += [reply, like, said | {"reason": "follow", "record": {}}]
    pds.seen.append({**reply, "record": reply["record"]})
    bodies, mark = await BlueskyReceiver().poll("")
    found = BlueskyReceiver().parse({}, bodies[0].content).events
    assert sorted((one.kind, one.addresses["bluesky"]) for one in found) == [
        ("liked", "lucia.example"),
        ("replied", "lucia.example"),
    ]
    assert (await BlueskyReceiver().poll(mark)) == ([], mark)
    monkeypatch.setattr("passaparola.channels.bluesky.receiver.POLL_INTERVAL_SECONDS", -1)
    assert (await BlueskyReceiver().poll(mark))[0] == []
    answer = dispatch("bluesky", skeleton=post("Certo!"))
    object.__setattr__(answer.messages[0], "headers", {"In-Reply-To": said["uri"]})
    channel = BlueskySender()
    await channel.send(answer)
    await channel.close()
    (record,) = pds.records.values()
    assert record["reply"] == {"parent": {"uri": said["uri"], "cid": "c2"}, "root": root}


@pytest.mark.skipif(not PDS, reason="set PASSAPAROLA_BLUESKY_PDS to the address of a PDS from @atproto/dev-env")
async def test_the_real_server_agrees(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import aiohttp

    handle = f"b{secrets.token_hex(4)}.test"
    account = {"handle": handle, "email": f"{handle}@example.org", "password": "right"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{PDS}/xrpc/com.atproto.server.createAccount", json=account) as made,
    ):
        assert made.status == 200, await made.text()
    set_to(monkeypatch, {"BLUESKY_URL": PDS, "BLUESKY_HANDLE": handle, "BLUESKY_APP_PASSWORD": "right"})
    channel, text = BlueskySender(), "È primavera #miele https://shop.example/è 👨‍👩‍👧‍👦"
    said = dispatch("bluesky", skeleton=post(text))
    assert (await channel.look_up(said)).absent
    first = await channel.send(said)
    assert (await channel.send(said)).receipt == first.receipt
    assert (await channel.look_up(said)).accepted == {"9-0-bluesky": first.receipt}
    assert await channel.read_back(first.receipt)
    listed = await channel.pds.read(
        "/xrpc/com.atproto.repo.listRecords", params={"repo": channel.pds.did, "collection": "app.bsky.feed.post"}
    )
    assert [one["value"]["text"] for one in listed["records"]] == [text]
    refused = await told(channel, dispatch("bluesky", skeleton=post("x" * 301)))
    assert "301" in str(refused)
    monkeypatch.setenv("PASSAPAROLA_BLUESKY_APP_PASSWORD", "wrong")
    stranger = BlueskySender()
    assert "passaparola channel resume bluesky" in str(await told(stranger, said))
    await stranger.close()
    await channel.close()
