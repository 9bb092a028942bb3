"""SMS and WhatsApp, through Twilio: segments, one answer per person, fates, and the words that are a no."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from passaparola.channel.message_ids import sign_message_id
from passaparola.channel.sender import Part, Skeleton
from passaparola.channels.sms import SmsReceiver, SmsSender, count_segments
from passaparola.channels.whatsapp import WhatsappReceiver, WhatsappSender
from passaparola.errors import Forged
from passaparola.settings import Settings
from tests.channels.test_contract import dispatch, set_to
from tests.conftest import NOW
from tests.fakes import sms, whatsapp

PATH = "/webhooks/sms?m="


@pytest.fixture
def twilio(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[sms.Fake]:
    with sms.Fake() as fake:
        set_to(monkeypatch, fake.env)
        yield fake


@pytest.mark.parametrize(
    ("text", "count"),
    [("x" * 160, 1), ("x" * 161, 2), ("x" * 306, 2), ("x" * 307, 3), ("€" * 80, 1), ("€" * 81, 2), ("è" * 160, 1), ("ê" * 70, 1), ("ê" * 71, 2), ("😀" * 35, 1), ("😀" * 36, 2)],
)  # fmt: skip
def test_segments_are_counted_as_they_are_charged(text: str, count: int) -> None:
    assert count_segments(text) == count


def test_a_text_that_says_no_way_out_is_said_before_anyone_is_written_to(settings: Settings) -> None:
    assert "STOP" in SmsSender.problems(Skeleton({"text": Part(("The honey is here",))}))[0]


def test_the_preview_says_what_it_costs_and_why(settings: Settings) -> None:
    dear = Skeleton({"text": Part(("Ciao ", ", il miele è qui… Rispondi STOP per non ricevere altro."), (0,))})
    assert SmsSender.approval_note(dear) == "2 segments, because of …"
    assert str(SmsSender.price(dear)) == "0.16"


async def test_each_person_has_an_answer_of_their_own(twilio: sms.Fake) -> None:
    given = dispatch("sms", people=3)
    for message, number in zip(given.messages, ("+393470000000", "+393471111", "+393479999999"), strict=True):
        object.__setattr__(message, "to_address", number)
    channel = SmsSender()
    answer = await channel.send(given)
    await channel.close()
    assert set(answer.refused) == {"0-0-sms", "1-0-sms"}
    assert "unsubscribed" in answer.refused["1-0-sms"]
    assert set(answer.receipts) == {"2-0-sms"}


async def test_twilio_is_told_where_to_say_what_became_of_it(twilio: sms.Fake, settings: Settings) -> None:
    channel = SmsSender()
    await channel.send(dispatch("sms", people=1))
    await channel.close()
    assert (
        twilio.posts[0]["StatusCallback"] == f"https://shop.example{PATH}{sign_message_id(settings.secret, '0-0-sms')}"
    )


async def test_what_has_a_template_is_said_by_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    skeleton = Skeleton({"text": Part(("Ciao ", ""), (0,)), "1": Part(("", ""), (0,))}, template="HX1")
    with whatsapp.Fake() as fake:
        set_to(monkeypatch, fake.env)
        channel = WhatsappSender()
        await channel.send(dispatch("whatsapp", people=1, skeleton=skeleton))
        await channel.close()
        assert (fake.posts[0]["ContentSid"], fake.posts[0]["ContentVariables"]) == ("HX1", '{"1":"R0"}')
        assert fake.posts[0]["To"].startswith("whatsapp:+39")
        assert "Body" not in fake.posts[0]


def form(**fields: str) -> bytes:
    return urlencode(fields).encode()


def heard(body: bytes, path: str = "/webhooks/sms") -> list[tuple[str, str]]:
    return [(one.kind, one.medium) for one in SmsReceiver().parse({":path": path, ":at": NOW.isoformat()}, body).events]


@pytest.mark.parametrize("word", ["STOP", "stop", " Stop. ", "UNSUBSCRIBE", "quit!"])
def test_a_word_that_is_a_no_is_a_no_and_goes_first(word: str, settings: Settings) -> None:
    body = form(MessageSid="SM1", From="+393471234567", Body=word)
    assert heard(body) == [("unsubscribed", "sms")]
    assert SmsReceiver.may_be_urgent(body)


def test_other_words_are_a_conversation(settings: Settings) -> None:
    assert heard(form(MessageSid="SM4", From="+393471234567", Body="Yes")) == [("replied", "sms")]
    body = form(MessageSid="SM2", From="+393471234567", Body="Stop! Wait, do you ship to Sicily?")
    assert heard(body) == [("replied", "sms")]
    assert not SmsReceiver.may_be_urgent(body)
    said = WhatsappReceiver().parse(
        {":at": NOW.isoformat()},
        form(MessageSid="SM3", From="whatsapp:+393471234567", Body="Ciao", ProfileName="Lucia B"),
    )
    assert said.events[0].addresses == {"phone": "+393471234567"}
    assert said.events[0].traits == {"first_name": "Lucia"}


@pytest.mark.parametrize(
    ("status", "code", "kind", "bounce"),
    [("sent", "", "accepted", None), ("delivered", "", "delivered", None), ("undelivered", "30003", "bounced", "soft"),
     ("undelivered", "30005", "bounced", "hard"), ("failed", "30007", "failed", None), ("failed", "30006", "failed", None)],
)  # fmt: skip
def test_what_became_of_a_message_names_it(
    status: str, code: str, kind: str, bounce: str | None, settings: Settings
) -> None:
    body = form(MessageSid="SM1", MessageStatus=status, To="+393471234567", **({"ErrorCode": code} if code else {}))
    path = PATH + sign_message_id(settings.secret, "12-0-sms")
    (one,) = SmsReceiver().parse({":path": path, ":at": NOW.isoformat()}, body).events
    assert (one.kind, one.message, one.properties.get("bounce")) == (kind, "12-0-sms", bounce)
    assert heard(body, PATH + "12-0-sms.000000000000") == []


def test_only_twilio_is_believed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    set_to(monkeypatch, {"TWILIO_AUTH_TOKEN": "right"})
    fields = {"MessageSid": "SM1", "From": "+393471234567", "Body": "Perché è così?"}
    body = form(**fields)
    signed = RequestValidator("right").compute_signature(f"https://shop.example{PATH}x", fields)
    headers = {":path": f"{PATH}x", "x-twilio-signature": signed}
    assert SmsReceiver().verify(headers, body, NOW) == "SM1:said"
    for wrong in ({":path": f"{PATH}y"}, {"x-twilio-signature": ""}, {"x-twilio-signature": signed[:-2] + "A="}):
        with pytest.raises(Forged):
            SmsReceiver().verify(headers | wrong, body, NOW)
    with pytest.raises(Forged):
        SmsReceiver().verify(headers, form(**fields | {"Body": "STOP"}), NOW)
