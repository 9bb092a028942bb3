"""SMTP: every message has its own answer, and the doubt is one message wide."""

from dataclasses import replace

import pytest

from passaparola.channels.smtp.sender import SmtpSender
from passaparola.errors import Blocked
from tests.channels.test_contract import dispatch
from tests.fakes import smtp


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    with smtp.Fake() as fake:
        monkeypatch.setenv("PASSAPAROLA_SMTP_URL", f"smtp://127.0.0.1:{fake.port}")
        yield fake


async def test_each_address_is_refused_or_deferred_on_its_own(server: smtp.Fake) -> None:
    given = dispatch("email", people=10)
    wanted = {3: "nobody3@example.org", 7: "later7@example.org"}
    messages = tuple(replace(m, to_address=wanted.get(n, m.to_address)) for n, m in enumerate(given.messages))
    channel = SmtpSender()
    answer = await channel.send(replace(given, messages=messages))
    await channel.close()
    assert set(answer.refused) == {"3-0-email"}
    assert "550" in answer.refused["3-0-email"]
    assert set(answer.deferred) == {"7-0-email"}
    assert sorted(to[0] for to, _ in server.letters) == sorted(
        m.to_address for m in messages if m.to_address not in wanted.values()
    )


async def test_a_line_that_breaks_after_the_body_leaves_one_message_in_doubt(server: smtp.Fake) -> None:
    server.hang_up_after_data = True
    channel = SmtpSender()
    answer = await channel.send(dispatch("email", people=1))
    await channel.close()
    assert set(answer.uncertain) == {"0-0-email"}
    assert len(server.letters) == 1


async def test_connections_are_kept_between_batches(server: smtp.Fake) -> None:
    channel = SmtpSender()
    await channel.send(dispatch("email", people=10))
    kept = list(channel.idle)
    await channel.send(dispatch("email", people=10, attempt=2))
    assert set(channel.idle) == set(kept)
    await channel.close()
    assert len(server.letters) == 20


async def test_an_address_that_cannot_be_said_harms_nobody_after_it(server: smtp.Fake) -> None:
    given = dispatch("email", people=6)
    messages = tuple(
        replace(m, to_address="müller@example.org" if n % 2 else m.to_address) for n, m in enumerate(given.messages)
    )
    channel = SmtpSender()
    answer = await channel.send(replace(given, messages=messages))
    await channel.close()
    assert set(answer.refused) == {"1-0-email", "3-0-email", "5-0-email"}
    assert len(server.letters) == 3


async def test_a_server_that_does_not_take_our_sender_blocks_instead_of_failing_everybody(server: smtp.Fake) -> None:
    server.takes_sender = False
    channel = SmtpSender()
    with pytest.raises(Blocked, match="does not take mail from"):
        await channel.send(dispatch("email", people=6))
    await channel.close()
