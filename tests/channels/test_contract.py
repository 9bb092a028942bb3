"""What every channel promises, whatever it speaks: the folder is the registry, so a new file is in these tests at once."""

from datetime import timedelta
from pathlib import Path

import pytest

import channels
from channels.base import Answer, Channel, Dispatch, Evidence, Media, Outgoing, Part, Sender, Skeleton
from errors import Blocked, ChannelError, Misconfigured, Unavailable
from settings import Settings
from tests.conftest import NOW, Provider
from tests.fakes import smtp, twitter

LETTER = Skeleton(
    {
        "subject": Part(("Hello ", ""), (0,)),
        "text": Part(("Dear ", ",\n\nit is spring: ", "\n"), (0, 1)),
        "html": Part(("<p>Dear ", ",</p><p><a href='", "'>spring</a></p>"), (2, 1)),
    }
)
POST = Skeleton({"text": Part(("The mountain has woken up. https://shop.example/spring",))})


def dispatch(medium: str, people: int = 3, attempt: int = 1, skeleton: Skeleton | None = None) -> Dispatch:
    if skeleton is None:
        skeleton = LETTER if medium == "email" else POST
    letters = tuple(
        Outgoing(f"{n}-0-email", f"reader{n}@example.org", f"Reader {n}", (f"R{n}", "https://x.example/?a=1&b=2", f"R&amp;{n}"),
                 {"List-Unsubscribe": f"<https://shop.example/u/{'t' * 200}{n}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"})
        for n in range(people)
    )  # fmt: skip
    messages = letters if medium == "email" else (Outgoing("9-0-twitter", "", "", (), {}),)
    return Dispatch(
        attempt,
        medium,
        "spring",
        skeleton,
        Sender("Bottega", "ciao@bottega.example", "marta@bottega.example"),
        NOW - timedelta(days=1),
        messages,
    )


@pytest.fixture(params=channels.names())
def kind(request: pytest.FixtureRequest) -> type[Channel]:
    return channels.get(request.param)


@pytest.fixture
def provider(kind: type[Channel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings):  # type: ignore[no-untyped-def]
    """The channel's own strict fake, and the settings that lead there; yields what it accepted, as a function."""
    match kind.name:
        case "sendgrid":
            with Provider(tmp_path / "log") as fake:
                monkeypatch.setenv("PASSAPAROLA_SENDGRID_API_KEY", "SG.right")
                monkeypatch.setenv("PASSAPAROLA_SENDGRID_API_URL", fake.url)
                yield lambda: len(fake.accepted())
        case "smtp":
            with smtp.Fake() as server:
                monkeypatch.setenv("PASSAPAROLA_SMTP_URL", f"smtp://127.0.0.1:{server.port}")
                yield lambda: len(server.accepted)
        case "twitter":
            with twitter.Fake() as x:
                for name in ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET"):
                    monkeypatch.setenv(f"PASSAPAROLA_TWITTER_{name}", "right")
                monkeypatch.setenv("PASSAPAROLA_TWITTER_API_URL", x.url)
                yield lambda: len(x.posts)
        case "mailbox":
            yield lambda: sum(1 for _ in (settings.var / "mailbox").rglob("new/*"))
        case name:
            pytest.fail(f"the contract has no fake for {name}: write one in tests/fakes")


async def test_it_says_who_it_is_and_what_it_can_do(kind: type[Channel]) -> None:
    assert kind.name in channels.names()
    assert kind.medium
    assert 1 <= kind.batch <= 1_000
    assert 0 < kind.timeout <= 300


async def test_what_it_accepts_arrives_once(kind: type[Channel], provider) -> None:  # type: ignore[no-untyped-def]
    channel = kind()
    given = dispatch(kind.medium)
    answer = await channel.send(given)
    await channel.close()
    assert isinstance(answer, Answer)
    assert not answer.refused
    assert not answer.uncertain
    assert provider() == len(given.messages)


async def test_a_look_up_never_claims_what_was_not_sent(kind: type[Channel], provider) -> None:  # type: ignore[no-untyped-def]
    channel = kind()
    found = await channel.look_up(dispatch(kind.medium, attempt=77))
    await channel.close()
    assert isinstance(found, Evidence)
    assert not found.accepted


async def test_a_provider_that_is_not_there_is_unavailable_not_uncertain(
    kind: type[Channel], provider, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    if kind.name == "mailbox":
        pytest.skip("the mailbox is always there")
    for name, value in {
        "SENDGRID_API_URL": "http://127.0.0.1:9",
        "SMTP_URL": "smtp://127.0.0.1:9",
        "TWITTER_API_URL": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(f"PASSAPAROLA_{name}", value)
    channel = kind()
    with pytest.raises(Unavailable):
        await channel.send(dispatch(kind.medium))
    await channel.close()


async def test_without_its_settings_it_says_which_are_missing(kind: type[Channel], settings: Settings) -> None:
    if kind.name == "mailbox":
        pytest.skip("the mailbox needs none")
    with pytest.raises(Misconfigured, match="PASSAPAROLA_"):
        kind()


async def test_its_secrets_are_in_no_error(kind: type[Channel], provider, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    if kind.name == "mailbox":
        pytest.skip("the mailbox has none")
    canary = "canary-7c1f"
    monkeypatch.setenv("PASSAPAROLA_SENDGRID_API_KEY", canary)
    monkeypatch.setenv("PASSAPAROLA_TWITTER_ACCESS_TOKEN", canary)
    monkeypatch.setenv("PASSAPAROLA_SMTP_URL", f"smtp://user:{canary}@127.0.0.1:9")
    channel = kind()
    with pytest.raises(ChannelError) as error:
        await channel.send(dispatch(kind.medium))
    await channel.close()
    assert canary not in str(error.value)
    assert canary not in repr(error.value)
    if kind.name != "smtp":
        assert isinstance(error.value, Blocked)


def test_a_public_channel_prices_and_checks_its_posts(kind: type[Channel], settings: Settings) -> None:
    skeleton = LETTER if kind.medium == "email" else POST
    assert kind.price(skeleton) >= 0
    assert kind.problems(skeleton) == []
    if kind.public:
        assert kind.problems(Skeleton({"text": Part(("",))}, (Media("templates/x.bmp", "a picture"),)))
