"""SendGrid: our body says what its own library would say, and every answer is understood for what it is."""

import asyncio
from dataclasses import replace

import orjson
import pytest
from sendgrid.helpers.mail import (
    Category,
    ClickTracking,
    Content,
    CustomArg,
    From,
    Header,
    Mail,
    OpenTracking,
    Personalization,
    ReplyTo,
    SubscriptionTracking,
    Substitution,
    To,
    TrackingSettings,
)
from sqlmodel import select

from passaparola.channel.sender import Part, Skeleton
from passaparola.channels.sendgrid.request import build_request
from passaparola.channels.sendgrid.sender import SendgridSender
from passaparola.errors import Blocked, Refused, TooLarge, Unavailable, Uncertain
from passaparola.outbox.reconcile import sync_suppressions
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Address, Suppression
from tests.channels.test_contract import LETTER, dispatch
from tests.conftest import NOW, Provider
from tests.people import add


def test_our_body_is_what_its_own_library_makes() -> None:
    given = dispatch("email")
    ours = build_request(given)
    mail = Mail()
    for person in ours["personalizations"]:
        theirs = Personalization()
        theirs.add_to(To(person["to"][0]["email"], person["to"][0]["name"]))
        for tag, value in person["substitutions"].items():
            theirs.add_substitution(Substitution(tag, value))
        for name, value in person["custom_args"].items():
            theirs.add_custom_arg(CustomArg(name, value))
        for name, value in person["headers"].items():
            theirs.add_header(Header(name, value))
        mail.add_personalization(theirs)
    mail.from_email = From("ciao@bottega.example", "Bottega")
    mail.reply_to = ReplyTo("marta@bottega.example")
    mail.subject = ours["subject"]
    mail.content = [Content(part["type"], part["value"]) for part in ours["content"]]
    mail.category = Category("spring")
    tracking = TrackingSettings()
    tracking.click_tracking = ClickTracking(False, False)
    tracking.open_tracking = OpenTracking(False)
    tracking.subscription_tracking = SubscriptionTracking(False)
    mail.tracking_settings = tracking
    theirs_whole = mail.get()
    theirs_whole["personalizations"].sort(key=lambda person: person["custom_args"]["passaparola_message"])
    assert theirs_whole == ours


async def test_what_arrives_is_the_filled_skeleton_byte_for_byte(sendgrid: Provider) -> None:
    channel, given = SendgridSender(), dispatch("email")
    await channel.send(given)
    await channel.close()
    line = sendgrid.lines()[0]
    assert line["html"] == LETTER.parts["html"].fill(given.messages[0].values)
    assert line["subject"] == "Hello R0"
    assert line["message"] == ["0-0-email", "1-0-email", "2-0-email"]


async def test_whoever_needs_more_than_a_personalization_carries_goes_alone_and_whole(sendgrid: Provider) -> None:
    given = dispatch("email")
    large = replace(given.messages[1], values=("è" * 6_000, "https://x", "y"))
    given = replace(given, messages=(given.messages[0], large, given.messages[2]))
    assert SendgridSender.unbatchable(given) == {"1-0-email"}
    channel = SendgridSender()
    await channel.send(replace(given, messages=(large,)))
    await channel.close()
    assert "substitutions" not in build_request(replace(given, messages=(large,)))["personalizations"][0]
    assert sendgrid.lines()[0]["subject"] == "Hello " + "è" * 6_000


@pytest.mark.parametrize(
    ("knobs", "error"),
    [
        ({"before": {"*": 500}}, Uncertain), ({"before": {"*": 503}}, Uncertain), ({"after": {"*": 502}}, Uncertain), ({"drop": ["*"]}, Uncertain),
        ({"half": ["*"]}, Uncertain), ({"before": {"*": 413}}, TooLarge), ({"before": {"*": 401}}, Blocked), ({"before": {"*": 403}}, Blocked),
        ({"limit": {"*": 3}}, Unavailable), ({"before": {"*": 400}}, Refused),
    ],
)  # fmt: skip
async def test_every_answer_is_understood_for_what_it_is(
    sendgrid: Provider, knobs: dict[str, object], error: type[Exception]
) -> None:
    sendgrid.knobs(**knobs)
    channel = SendgridSender()
    with pytest.raises(error) as raised:
        await channel.send(dispatch("email"))
    await channel.close()
    if isinstance(raised.value, Unavailable):
        assert 2 <= raised.value.after <= 4


async def test_a_time_out_is_uncertain(sendgrid: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SendgridSender, "timeout", 0.3)
    sendgrid.knobs(delay=2)
    channel = SendgridSender()
    with pytest.raises(Uncertain):
        await channel.send(dispatch("email"))
    await channel.close()
    await asyncio.sleep(0)


async def test_the_address_that_a_refusal_names_is_named(sendgrid: Provider) -> None:
    given = dispatch("email")
    bad = replace(given.messages[2], to_address="who@refused.example")
    channel = SendgridSender()
    with pytest.raises(Refused) as error:
        await channel.send(replace(given, messages=(*given.messages[:2], bad)))
    await channel.close()
    assert list(error.value.messages) == ["2-0-email"]
    assert sendgrid.accepted() == []


def test_no_tag_can_be_guessed_or_found_in_the_words() -> None:
    tags = {next(iter(build_request(dispatch("email"))["personalizations"][0]["substitutions"])) for _ in range(20)}
    assert len(tags) == 20


def test_the_body_is_plain_json_whatever_the_values_are() -> None:
    skeleton = Skeleton({**LETTER.parts, "html": Part(("", ""), (0,))})
    given = dispatch("email", skeleton=skeleton)
    hostile = replace(given.messages[0], values=('"}],"x', "-nonce-", "\u2028"), name='Eve; "Mallory", <x@y>\r\nBcc: z')
    body = orjson.loads(orjson.dumps(build_request(replace(given, messages=(hostile, *given.messages[1:])))))
    assert not set(body["personalizations"][0]["to"][0]["name"]) & set(";,\r\n")


async def test_whom_sendgrid_stopped_writing_to_is_suppressed_here_too(
    sendgrid: Provider, store: Store, settings: Settings
) -> None:
    with store.write() as session:
        add(session, "Angry", NOW)
    assert await sync_suppressions(store, settings, NOW) == 701
    assert await sync_suppressions(store, settings, NOW) == 0
    with store.read() as session:
        key = session.exec(select(Address.key)).one()
        assert session.get_one(Suppression, key).reason == "complaint"
