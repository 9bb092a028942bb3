"""What every channel promises, whatever it speaks: the folder is the registry, so a new file is in these tests at once."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from passaparola.channel import registry
from passaparola.channel.receiver import Poll, Receiver, Webhook
from passaparola.channel.sender import (
    Dispatch,
    Evidence,
    FromIdentity,
    Media,
    OutboundMessage,
    Part,
    Sender,
    SendResult,
    Skeleton,
)
from passaparola.errors import Blocked, ChannelError, Forged, Misconfigured, Refused, Unavailable, Uncertain
from passaparola.outbox.read_back import confirm_visible
from passaparola.settings import Settings
from tests import fakes
from tests.conftest import NOW, ROOT

LETTER = Skeleton(
    {
        "subject": Part(("Hello ", ""), (0,)),
        "text": Part(("Dear ", ",\n\nit is spring: ", "\n"), (0, 1)),
        "html": Part(("<p>Dear ", ",</p><p><a href='", "'>spring</a></p>"), (2, 1)),
    }
)
POST = Skeleton({"text": Part(("The mountain has woken up. https://shop.example/spring",))})
WORD = Skeleton({"text": Part(("Ciao ", ", the honey is here. Reply STOP to opt out."), (0,))})
VALUES = ("R{n}", "https://x.example/?a=1&b=2", "R&amp;{n}")


def dispatch(medium: str, people: int = 3, attempt: int = 1, skeleton: Skeleton | None = None) -> Dispatch:
    """Three letters, three words to phones, or one post to everybody."""
    kind = "email" if medium == "email" else "phone" if registry.address_kind(medium) == "phone" else "post"
    to = {"email": "reader{n}@example.org", "phone": "+39347000001{n}"}
    headers = {
        "List-Unsubscribe": "<https://shop.example/u/" + "t" * 200 + "{n}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    messages = tuple(
        OutboundMessage(f"{n}-0-{medium}", to[kind].format(n=n), f"Reader {n}", tuple(v.format(n=n) for v in VALUES),
                 {name: value.format(n=n) for name, value in headers.items()})
        for n in range(people)
    ) if kind != "post" else (OutboundMessage(f"9-0-{medium}", "", "", (), {}),)  # fmt: skip
    return Dispatch(
        attempt, medium, "spring", skeleton or {"email": LETTER, "phone": WORD, "post": POST}[kind],
        FromIdentity("Bottega", "ciao@bottega.example", "marta@bottega.example"), NOW - timedelta(days=1), messages,
    )  # fmt: skip


@pytest.fixture(params=registry.sender_names())
def kind(request: pytest.FixtureRequest) -> type[Sender]:
    return registry.sender_class(request.param)


def set_to(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], canary: str = "") -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"PASSAPAROLA_{name}", value.replace("{canary}", canary))


@pytest.fixture
def fake(kind: type[Sender], monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Any]:
    """The channel's own strict fake, and the settings that lead there."""
    with fakes.of(kind.name) as provider:
        set_to(monkeypatch, provider.env)
        yield provider


async def told(channel: Sender, given: Dispatch) -> SendResult | ChannelError:
    try:
        return await channel.send(given)
    except ChannelError as error:
        return error


def needing(fake: Any, what: str) -> None:
    if not hasattr(fake, what):
        pytest.skip(f"nobody can {what} here")


def test_it_says_who_it_is_and_what_it_can_do(kind: type[Sender]) -> None:
    assert kind.name in registry.sender_names()
    assert kind.medium
    assert kind.branding.title
    assert kind.branding.colour.startswith("#")
    assert kind.batch_size == 1 if kind.public else 1 <= kind.batch_size <= 1_000
    assert 0 < kind.timeout <= 300
    if kind.branding.share:
        assert "{url}" in kind.branding.share


async def test_what_it_accepts_arrives_once(kind: type[Sender], fake: Any) -> None:
    channel, given = kind(), dispatch(kind.medium)
    answer = await channel.send(given)
    assert isinstance(answer, SendResult)
    assert not answer.refused
    assert not answer.uncertain
    assert fake.accepted() in (len(given.messages), None)
    if kind.public and fake.accepted():
        assert answer.receipts[given.messages[0].id] == answer.receipt != ""
        assert (await channel.read_back(answer.receipt)) in (True, None)
    await channel.close()


async def test_a_post_that_is_not_to_be_seen_does_not_count_as_sent(
    kind: type[Sender], fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    needing(fake, "hidden")
    monkeypatch.setattr("passaparola.outbox.read_back.READ_BACK_DELAYS_SECONDS", (0.0, 0.01))
    channel = kind()
    answer = await channel.send(dispatch(kind.medium))
    assert (await confirm_visible(channel, answer)).uncertain == {}
    fake.hidden.add(answer.receipt)
    assert list((await confirm_visible(channel, answer)).uncertain) == [f"9-0-{kind.medium}"]
    await channel.close()


async def test_a_look_up_never_claims_what_was_not_sent(kind: type[Sender], fake: Any) -> None:
    channel = kind()
    found = await channel.look_up(dispatch(kind.medium, attempt=77))
    await channel.close()
    assert isinstance(found, Evidence)
    assert not found.accepted


async def test_a_lost_answer_never_leads_to_a_second_message(kind: type[Sender], fake: Any) -> None:
    """What every worker does: a doubt is looked up, and only what is certainly not there is sent again."""
    needing(fake, "lose")
    channel, given = kind(), dispatch(kind.medium, people=1)
    fake.lose()
    said = await told(channel, given)
    assert isinstance(said, Uncertain) or list(said.uncertain) == [given.messages[0].id]  # type: ignore[union-attr]
    found = await channel.look_up(given)
    assert set(found.accepted) <= {given.messages[0].id}
    if found.absent:
        await channel.send(given)
    await channel.close()
    assert fake.accepted() == 1


async def test_the_same_dispatch_again_is_no_second_post(kind: type[Sender], fake: Any) -> None:
    """Where the network, or a key of ours, can tell. A worker never does this; two houses on one account may."""
    if not kind.public or fake.accepted() is None or kind.name == "telegram":
        pytest.skip("nobody can tell")
    channel, given = kind(), dispatch(kind.medium)
    first = await channel.send(given)
    assert (await channel.send(given)).receipt == first.receipt
    await channel.close()
    assert fake.accepted() == 1


async def test_asked_to_slow_down_it_says_for_how_long(kind: type[Sender], fake: Any) -> None:
    needing(fake, "fail")
    channel = kind()
    fake.fail(429)
    said = await told(channel, dispatch(kind.medium, people=1))
    await channel.close()
    assert (isinstance(said, Unavailable) and said.after >= 5) or list(said.deferred)  # type: ignore[union-attr]
    assert fake.accepted() == 0


async def test_a_refused_key_blocks_and_says_how_to_go_on(kind: type[Sender], fake: Any) -> None:
    needing(fake, "fail")
    channel = kind()
    fake.fail(401)
    said = await told(channel, dispatch(kind.medium, people=1))
    await channel.close()
    assert isinstance(said, Blocked)
    assert f"passaparola channel resume {kind.name}" in str(said)


async def test_a_server_that_breaks_leaves_a_doubt(kind: type[Sender], fake: Any) -> None:
    needing(fake, "fail")
    channel = kind()
    fake.fail(503)
    said = await told(channel, dispatch(kind.medium, people=1))
    await channel.close()
    assert isinstance(said, Uncertain) or list(said.uncertain)  # type: ignore[union-attr]


async def test_who_waits_in_vain_is_in_doubt(kind: type[Sender], fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time-out after the message went out proves nothing; what proves something is asked afterwards."""
    needing(fake, "stall")
    monkeypatch.setattr(kind, "timeout", 2.0)
    channel, given = kind(), dispatch(kind.medium, people=1)
    fake.stall(2.5)
    said = await told(channel, given)
    assert isinstance(said, Uncertain) or list(said.uncertain)  # type: ignore[union-attr]
    await channel.close()
    assert (fake.accepted() or 0) <= 1


async def test_a_provider_that_is_not_there_is_unavailable_not_uncertain(
    kind: type[Sender], fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    needing(fake, "down")
    set_to(monkeypatch, fake.down)
    channel = kind()
    with pytest.raises(Unavailable):
        await channel.send(dispatch(kind.medium))
    await channel.close()


async def test_without_its_settings_it_says_which_are_missing(
    kind: type[Sender], fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    needing(fake, "wrong")
    for name in fake.env:
        monkeypatch.delenv(f"PASSAPAROLA_{name}")
    with pytest.raises(Misconfigured, match="PASSAPAROLA_"):
        kind()


async def test_its_secrets_are_in_no_error(kind: type[Sender], fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    needing(fake, "wrong")
    canary = "canary-7c1f"
    set_to(monkeypatch, fake.wrong, canary)
    channel = kind()
    with pytest.raises(ChannelError) as error:
        await channel.send(dispatch(kind.medium))
    await channel.close()
    assert canary not in str(error.value)
    assert canary not in repr(error.value)
    if kind.name != "smtp":
        assert isinstance(error.value, Blocked)


async def test_another_picture_than_the_approved_one_is_not_posted(
    kind: type[Sender], fake: Any, settings: Settings
) -> None:
    (settings.home / "templates" / "hello" / "box.png").write_bytes(b"\x89PNG" + b"0" * 1000)
    swapped = Skeleton(POST.parts, (Media("templates/hello/box.png", "An open box", "0" * 64),))
    if not kind.public or fake.accepted() is None or kind.problems(swapped):
        pytest.skip("it carries no pictures of ours")
    channel = kind()
    with pytest.raises(Refused, match="approved"):
        await channel.send(dispatch(kind.medium, skeleton=swapped))
    await channel.close()
    assert fake.accepted() == 0


def test_a_channel_prices_and_checks_what_it_is_given(kind: type[Sender], settings: Settings) -> None:
    skeleton = dispatch(kind.medium).skeleton
    assert kind.price(skeleton) >= 0
    assert kind.problems(skeleton) == []
    if kind.public:
        assert kind.problems(Skeleton({"text": Part(("",))}))
        assert kind.problems(Skeleton({"text": Part(("a post",))}, (Media("templates/x.bmp", "a picture"),)))
        assert "".join(kind.split_posts("one two three")) == "one two three"


@pytest.mark.parametrize("name", registry.receiver_names())
def test_an_ear_believes_nobody_without_a_secret_and_understands_anything(name: str, settings: Settings) -> None:
    ear: Receiver = registry.receiver_class(name)()
    if isinstance(ear, Webhook):
        with pytest.raises((Misconfigured, Forged)):
            ear.verify({}, b"{}", NOW)
    assert isinstance(ear, Webhook | Poll)
    for body in (b"", b"[]", b"null", b'{"entry": [1], "data": 5, "notifications": [null, {}]}', b"\xff\x00<"):
        try:
            found = ear.parse({}, body)
        except ValueError:
            continue
        assert not found.events


def test_the_registry_loads_no_network_s_library() -> None:
    """Whoever asks the command for help does not pay for what a worker needs."""
    code = (
        "import sys; from passaparola.channel import registry; registry.media(); "
        "print([m for m in ('aiohttp', 'tweepy', 'mastodon', 'twilio', 'feedparser', 'sendgrid', 'requests', 'apprise') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "extra", "name"),
    [("mastodon", "mastodon", "mastodon"), ("twilio", "twilio", "sms"), ("feedparser", "feeds", "feeds")],
)
async def test_a_missing_library_says_which_command_installs_it(
    module: str, extra: str, name: str, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    set_to(
        monkeypatch,
        {
            "MASTODON_URL": "https://m.example",
            "MASTODON_ACCESS_TOKEN": "x",
            "TWILIO_AUTH_TOKEN": "x",
            "FEEDS": "http://127.0.0.1:9",
            "BRAND_WORDS": "x",
        },
    )
    for known in [known for known in sys.modules if known.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, known)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Misconfigured, match=rf"pip install 'passaparola\[{extra}\]'"):
        if name == "mastodon":
            registry.sender_class(name)()
        elif name == "sms":
            registry.webhook_class(name)().verify({}, b"", NOW)
        else:
            await registry.receiver_class(name)().poll("")  # type: ignore[attr-defined]


def test_every_channel_has_its_test() -> None:
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "channels").glob("test_*.py")}
    for name in registry.sender_names():
        assert {name, "mailbox", "rss"} & (tests | {"mailbox", "rss"})
        assert name in tests | {"mailbox", "rss", "whatsapp"}, f"write tests/channels/test_{name}.py"
        assert Path(ROOT / "tests" / "fakes" / f"{name}.py").is_file()


@pytest.mark.parametrize("name", ["facebook", "linkedin", "bluesky"])
async def test_an_answer_that_comes_in_pieces_is_read_to_its_end_and_one_that_is_no_json_proves_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    with fakes.of(name) as fake:
        set_to(monkeypatch, fake.env)
        channel, given = registry.sender_class(name)(), dispatch(name)
        answered = await channel.send(given)
        fake.padding = 300_000
        assert (await channel.look_up(given)).accepted == {given.messages[0].id: answered.receipt}
        fake.garbled = True
        with pytest.raises(Unavailable):
            await channel.look_up(given)
        await channel.close()
