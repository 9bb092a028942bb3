"""A LinkedIn page: its format for text, its versions, pictures, and the comments under its posts."""

from collections.abc import Iterator

import orjson
import pytest
from hypothesis import given, strategies

from passaparola.channel.sender import Media, Part, Skeleton
from passaparola.channels.linkedin.receiver import LinkedinReceiver
from passaparola.channels.linkedin.sender import LinkedinSender, little_text
from passaparola.errors import Blocked, Refused
from passaparola.settings import Settings
from tests.channels.test_contract import dispatch, set_to, told
from tests.fakes import linkedin

LUCIA = "urn:li:person:AbC"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[linkedin.Fake]:
    with linkedin.Fake() as fake:
        set_to(monkeypatch, fake.env)
        yield fake


def post(text: str, *media: Media) -> Skeleton:
    return Skeleton({"text": Part((text,))}, media)


def test_signs_that_mean_something_there_are_escaped_and_tags_stay_tags() -> None:
    assert little_text("5 * (3) = #honey & a_b") == r"5 \* \(3\) = {hashtag|\#|honey} & a\_b"


@given(strategies.text(max_size=200))
def test_whatever_is_written_is_what_is_read(text: str) -> None:
    shown, escaped = "", False
    for sign in little_text(text).replace("{hashtag|\\#|", "\\#").replace("}", "\x00"):
        if sign == "\\" and not escaped:
            escaped = True
            continue
        shown += sign
        escaped = False
    assert shown.replace("\x00", "") == text.replace("}", "").replace("\x00", "")


async def test_a_version_that_is_over_blocks_and_names_the_setting(
    page: linkedin.Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSAPAROLA_LINKEDIN_API_VERSION", "old")
    channel = LinkedinSender()
    said = await told(channel, dispatch("linkedin"))
    await channel.close()
    assert isinstance(said, Blocked)
    assert "PASSAPAROLA_LINKEDIN_API_VERSION" in str(said)


async def test_pictures_go_up_first_and_carry_words(page: linkedin.Fake, settings: Settings) -> None:
    for name in ("box", "jar"):
        (settings.home / "templates" / "hello" / f"{name}.png").write_bytes(b"\x89PNG" + name.encode())
    channel = LinkedinSender()
    both = [Media(f"templates/hello/{name}.png", f"A {name}") for name in ("box", "jar")]
    await channel.send(dispatch("linkedin", skeleton=post("One", both[0])))
    await channel.send(dispatch("linkedin", skeleton=post("Two", *both)))
    await channel.close()
    assert page.posts[0]["content"]["media"]["altText"] == "A box"
    assert [one["altText"] for one in page.posts[1]["content"]["multiImage"]["images"]] == ["A box", "A jar"]
    assert page.pictures["img0"] == b"\x89PNGbox"


async def test_the_same_words_as_an_older_post_are_refused_with_a_remedy(page: linkedin.Fake) -> None:
    channel = LinkedinSender()
    await channel.send(dispatch("linkedin"))
    page.posts[0]["createdAt"] = 1
    said = await told(channel, dispatch("linkedin"))
    await channel.close()
    assert isinstance(said, Refused)
    assert "change the wording" in str(said)


async def test_comments_are_fetched_once_and_answered_in_their_thread(
    page: linkedin.Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = LinkedinSender()
    await channel.send(dispatch("linkedin"))
    urn = page.posts[0]["id"]
    comment = {
        "actor": LUCIA, "object": urn, "id": "5", "commentUrn": "urn:li:comment:(urn:li:activity:1,5)",
        "message": {"text": "Spedite in Sicilia?"}, "created": {"time": 1776761000000},
    }  # fmt: skip
    page.comments += [comment, comment | {"actor": "urn:li:organization:77", "id": "6"}]
    bodies, mark = await LinkedinReceiver().poll("")
    found = LinkedinReceiver().parse({}, bodies[0].content)
    assert [(one.kind, one.addresses) for one in found.events] == [("replied", {"linkedin": "person:AbC"})]
    assert (await LinkedinReceiver().poll(mark)) == ([], mark)
    monkeypatch.setattr("passaparola.channels.linkedin.receiver.POLL_INTERVAL_SECONDS", -1)
    calls = len(page.calls)
    again, _ = await LinkedinReceiver().poll(mark)  # a little overlap: the same body under the same name, kept once
    assert [body.key for body in again] == [body.key for body in bodies]
    assert len(page.calls) == calls + 2
    answer = dispatch("linkedin", skeleton=post("Certo!"))
    assert found.events[0].text is not None
    object.__setattr__(answer.messages[0], "headers", {"In-Reply-To": found.events[0].text.external_id})
    await channel.send(answer)
    await channel.close()
    assert page.posts[1]["parentComment"] == comment["commentUrn"]
    assert page.posts[1]["object"] == "urn:li:activity:1"


def test_one_odd_comment_stops_no_other(settings: Settings) -> None:
    good = {"actor": LUCIA, "message": {"text": "x"}, "created": {"time": 1776761000000}, "commentUrn": "urn:c"}
    found = LinkedinReceiver().parse(
        {}, orjson.dumps({"post": "p", "page": "us", "comments": [{"actor": LUCIA}, good]})
    )
    assert (len(found.events), len(found.problems)) == (1, 1)
