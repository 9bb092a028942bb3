"""A Telegram channel and its bot."""

from collections.abc import Iterator

import orjson
import pytest

from passaparola.channel.sender import Media, Part, Skeleton
from passaparola.channels.telegram.receiver import TelegramReceiver
from passaparola.channels.telegram.sender import TelegramSender
from passaparola.errors import Blocked, Forged
from passaparola.settings import Settings
from tests.channels.test_contract import dispatch, set_to, told
from tests.conftest import NOW
from tests.fakes import telegram


@pytest.fixture
def bot(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[telegram.Fake]:
    with telegram.Fake() as fake:
        set_to(monkeypatch, fake.env)
        yield fake


def post(text: str, *media: Media) -> Skeleton:
    return Skeleton({"text": Part((text,))}, media)


@pytest.mark.parametrize(("pictures", "method"), [(0, "sendMessage"), (1, "sendPhoto"), (2, "sendMediaGroup")])
async def test_words_a_picture_or_an_album(bot: telegram.Fake, settings: Settings, pictures: int, method: str) -> None:
    (settings.home / "templates" / "hello" / "box.png").write_bytes(b"\x89PNG")
    channel = TelegramSender()
    answer = await channel.send(
        dispatch("telegram", skeleton=post("A box", *[Media("templates/hello/box.png", "A box")] * pictures))
    )
    await channel.close()
    assert (bot.posts[0]["method"], bot.posts[0]["text"]) == (method, "A box")
    assert answer.receipt == "bottega/1"
    assert TelegramSender.post_url(answer.receipt) == "https://t.me/bottega/1"


def test_beside_a_picture_there_is_less_room(settings: Settings) -> None:
    (settings.home / "templates" / "hello" / "box.png").write_bytes(b"\x89PNG")
    assert TelegramSender.problems(post("x" * 2000)) == []
    assert "1024" in TelegramSender.problems(post("x" * 2000, Media("templates/hello/box.png", "A box")))[0]


async def test_a_bot_that_may_not_post_says_what_to_do(bot: telegram.Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSAPAROLA_TELEGRAM_CHANNEL", "@elsewhere")
    channel = TelegramSender()
    said = await told(channel, dispatch("telegram"))
    await channel.close()
    assert isinstance(said, Blocked)
    assert "administrator" in str(said)


def update(number: int, text: str = "Ciao", **message: object) -> dict[str, object]:
    sender = {"id": 555, "is_bot": False, "first_name": "Lucia", "username": "Lucia_B"}
    return {
        "update_id": number,
        "message": {
            "message_id": 9,
            "date": 1776761000,
            "text": text,
            "from": sender,
            "chat": {"id": 555, "type": "private"},
            **message,
        },
    }


async def test_who_writes_to_the_bot_is_heard_once_and_answered_in_the_chat(bot: telegram.Fake) -> None:
    bot.updates += [update(1), update(2, **{"from": {"id": 1, "is_bot": True}})]
    bodies, mark = await TelegramReceiver().poll("")
    found = [one for body in bodies for one in TelegramReceiver().parse({}, body.content).events]
    assert [(one.kind, one.addresses, one.traits["first_name"]) for one in found] == [
        ("replied", {"telegram": "Lucia_B"}, "Lucia")
    ]
    assert (await TelegramReceiver().poll(mark))[0] == []
    assert found[0].text is not None
    answer = dispatch("telegram", skeleton=post("Ciao Lucia"))
    object.__setattr__(answer.messages[0], "headers", {"In-Reply-To": found[0].text.thread})
    channel = TelegramSender()
    await channel.send(answer)
    await channel.close()
    assert bot.posts[0]["chat_id"] == "555"


def test_a_word_in_the_discussion_of_the_channel_is_public(settings: Settings) -> None:
    group = update(3, chat={"id": -100, "type": "supergroup"}, reply_to_message={"message_id": 4})
    (one,) = TelegramReceiver().parse({}, orjson.dumps(group)).events
    assert one.text is not None
    assert (one.kind, one.text.external_id, one.text.thread) == ("replied", "-100/9", "-100/4")


def test_a_webhook_is_believed_by_its_secret_token(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    set_to(monkeypatch, {"TELEGRAM_WEBHOOK_SECRET": "new, old"})
    body, header = orjson.dumps(update(7)), "x-telegram-bot-api-secret-token"
    assert TelegramReceiver().verify({header: "old"}, body, NOW) == "update:7"
    for wrong in ("", "ol", "new, old"):
        with pytest.raises(Forged):
            TelegramReceiver().verify({header: wrong}, body, NOW)
