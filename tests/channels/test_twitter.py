"""X: posts, threads, pictures with words for them, and a timeline that proves what a lost answer did not say."""

from pathlib import Path

import pytest

from passaparola.channel.sender import Media, Part, Skeleton
from passaparola.channels.twitter.length import thread, weighted_length
from passaparola.channels.twitter.sender import TwitterSender
from passaparola.errors import Refused, Unavailable, Uncertain
from passaparola.settings import Settings
from tests.channels.test_contract import dispatch
from tests.fakes import twitter


@pytest.fixture
def x(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    with twitter.Fake() as fake:
        for name in ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET"):
            monkeypatch.setenv(f"PASSAPAROLA_TWITTER_{name}", "right")
        monkeypatch.setenv("PASSAPAROLA_TWITTER_API_URL", fake.url)
        yield fake


def post(text: str, *media: Media) -> Skeleton:
    return Skeleton({"text": Part((text,))}, media)


async def test_a_long_text_becomes_a_thread(x: twitter.Fake) -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 40 for n in range(3))
    await TwitterSender().send(dispatch("twitter", skeleton=post(text)))
    assert [p["reply"] for p in x.posts] == [None, {"in_reply_to_tweet_id": "1000"}, {"in_reply_to_tweet_id": "1001"}]
    assert all(weighted_length(p["written"]) <= 280 for p in x.posts)


async def test_a_picture_goes_with_its_words(x: twitter.Fake, settings: Settings) -> None:
    picture = settings.home / "templates" / "hello" / "box.png"
    picture.write_bytes(b"\x89PNG" + b"0" * 1000)
    await TwitterSender().send(
        dispatch("twitter", skeleton=post("A box", Media("templates/hello/box.png", "An open box")))
    )
    assert x.media["9000"]["alt"] == "An open box"
    assert x.posts[0]["media"] == ["9000"]


async def test_a_lost_answer_is_uncertain_and_the_timeline_resolves_it(x: twitter.Fake) -> None:
    x.lose_next = True
    given = dispatch("twitter", skeleton=post("Spring & summer: https://shop.example/a?b=1&c=2"))
    with pytest.raises(Uncertain):
        await TwitterSender().send(given)
    found = await TwitterSender().look_up(given)
    assert found.accepted == {"9-0-twitter": "1000"}


async def test_what_is_not_on_the_timeline_was_not_posted(x: twitter.Fake) -> None:
    assert (await TwitterSender().look_up(dispatch("twitter"))).absent == {"9-0-twitter"}


async def test_a_duplicate_of_this_launch_is_evidence_and_an_older_one_a_refusal(x: twitter.Fake) -> None:
    given = dispatch("twitter")
    await TwitterSender().send(given)
    answer = await TwitterSender().send(given)
    assert answer.receipt == "1000"
    assert len(x.posts) == 1
    x.posts[0]["at"] = "2020-01-01T00:00:00.000Z"
    with pytest.raises(Refused, match="very text"):
        await TwitterSender().send(given)


async def test_a_rate_limit_is_waited_out(x: twitter.Fake) -> None:
    x.fail_next = 429
    with pytest.raises(Unavailable) as error:
        await TwitterSender().send(dispatch("twitter"))
    assert error.value.after > 1000


async def test_a_server_error_is_uncertain(x: twitter.Fake) -> None:
    x.fail_next = 503
    with pytest.raises(Uncertain):
        await TwitterSender().send(dispatch("twitter"))


def test_a_post_with_a_link_costs_more() -> None:
    assert str(TwitterSender.price(post("hello"))) == "0.015"
    assert str(TwitterSender.price(post("hello https://shop.example"))) == "0.200"


CASES = [
    "hello", "https://example.com/a/very/long/path?with=query", "see example.com now", "è così", "日本語", "👨‍👩‍👧‍👦", "🇮🇹", "a\nb", "…", "“quoted”", "1️⃣", "👍🏽 ok",
    "Ünïcödé", "ﬁ", "e\u0301", "mail me at a.b@example.com", "x" * 280,
]  # fmt: skip


@pytest.mark.parametrize("text", CASES)
def test_length_is_counted_as_x_counts_it(text: str) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from twitter_text import parse_tweet

        assert weighted_length(text) == parse_tweet(text).weightedLength


def test_threads_break_at_sentences_before_words() -> None:
    text = "First sentence here. " * 10 + "Second part. " * 10
    assert all(part.endswith(".") for part in thread(text))


def test_a_picture_too_many_is_said_before_anyone_posts(settings: Settings, tmp_path: Path) -> None:
    assert TwitterSender.problems(post("x", *[Media("templates/a.png", "alt")] * 5)) == [
        "X takes 4 pictures in a post at most"
    ]


async def test_a_page_full_of_newer_posts_proves_no_absence(x: twitter.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passaparola.channels.twitter.account.PAGE_SIZE", 5)
    for n in range(5):
        await TwitterSender().send(dispatch("twitter", skeleton=post(f"Another {n}")))
    found = await TwitterSender().look_up(dispatch("twitter", skeleton=post("The one in doubt")))
    assert (found.accepted, found.absent) == ({}, frozenset())
