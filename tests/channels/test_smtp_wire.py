"""The pipelined conversation, against a server that may do anything at any moment."""

import asyncio
import random
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passaparola.channels.smtp.sender import SmtpSender
from passaparola.errors import Blocked, Unavailable
from tests.channels.test_contract import dispatch


class Moody:
    """A server with dice: it refuses, hangs up and tears its answers apart, and knows what it took."""

    def __init__(self, seed: int, pipelining: bool, moody: float) -> None:
        self.dice, self.pipelining, self.moody = random.Random(seed), pipelining, moody
        self.accepted: list[str] = []
        self.refused: Counter[str] = Counter()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, "220 moody")
        sender, recipient = False, ""
        while line := (await reader.readline()).decode():
            verb, moods = line.split(":")[0].strip().upper(), self.dice.random() < self.moody
            if moods and verb != "EHLO X" and self.dice.random() < 0.2:
                raise ConnectionResetError
            match verb.split()[0] if verb else "":
                case "EHLO":
                    await self._say(
                        writer, "250-moody" + ("\r\n250-PIPELINING" if self.pipelining else "") + "\r\n250 OK"
                    )
                case "MAIL":
                    sender, recipient = not moods, ""
                    await self._say(writer, "250 OK" if sender else "451 not now")
                case "RCPT":
                    taken = sender and not moods
                    recipient = line[line.index("<") + 1 : line.index(">")] if taken else ""
                    await self._say(
                        writer,
                        "250 OK"
                        if taken
                        else self.dice.choice(["550 nobody", "450 busy"])
                        if sender
                        else "503 sender first",
                    )
                case "DATA" if recipient or (moods and sender):
                    await self._say(writer, "354 go on")
                    await self._body(reader, writer, recipient)
                    sender, recipient = False, ""
                case "DATA":
                    await self._say(writer, "554 no recipients")
                case "RSET" | "NOOP":
                    sender, recipient = False, ""
                    await self._say(writer, "250 OK")
                case "QUIT":
                    await self._say(writer, "221 bye")
                    return
                case _:
                    await self._say(writer, "500 what?")

    async def _body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, recipient: str) -> None:
        body = b""
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionResetError
            body += line
        if self.dice.random() < self.moody / 2:
            await self._say(writer, self.dice.choice(["554 spam", "451 later"]))
        elif not recipient:
            await self._say(writer, "554 nobody to give it to")
        else:
            assert body.startswith(b"From:"), "a body in which something else stands"
            self.accepted.append(recipient)
            if self.dice.random() < self.moody / 4:
                raise ConnectionResetError
            await self._say(writer, "250 taken")

    async def _say(self, writer: asyncio.StreamWriter, words: str) -> None:
        """In pieces, wherever they break."""
        said = words.encode() + b"\r\n"
        while said:
            cut = self.dice.randint(1, len(said))
            writer.write(said[:cut])
            said = said[cut:]
            if said:
                await asyncio.sleep(0)
        await writer.drain()


@asynccontextmanager
async def serving(moody: Moody, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    server = await asyncio.start_server(moody, "127.0.0.1", 0, limit=2**20)
    monkeypatch.setenv("PASSAPAROLA_SMTP_URL", f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


@given(seed=st.integers(0, 2**32), pipelining=st.booleans(), moody=st.sampled_from([0.0, 0.1, 0.5]))
@settings(max_examples=300, deadline=None)
def test_whatever_a_server_does_each_message_has_one_end_and_it_is_the_true_one(
    seed: int, pipelining: bool, moody: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(_once(Moody(seed, pipelining, moody), patch))


async def _once(server: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = dispatch("email", people=25)
    async with serving(server, monkeypatch):
        channel = SmtpSender()
        try:
            answer = await channel.send(sent)
        except (Unavailable, Blocked):
            assert not server.accepted
            return
        await channel.close()
    to = {message.id: message.to_address for message in sent.messages}
    said = [*answer.refused, *answer.deferred, *answer.uncertain]
    assert len(said) == len(set(said)), "a message with two ends"
    yes = [to[id_] for id_ in to if id_ not in said]
    taken = Counter(server.accepted)
    assert max(taken.values(), default=0) <= 1, "somebody got it twice"
    assert all(taken[address] for address in yes), "accepted, says the channel, and it was not"
    no = {to[id_] for id_ in (*answer.refused, *answer.deferred)}
    assert not no & taken.keys(), "not accepted, says the channel, and it was"
    if not server.moody:
        assert len(yes) == len(to)


@pytest.mark.parametrize("nonsense", [b"hello\r\n", b"999 what\r\n", b"250-for ever" * 9_000, b"\x00\xff\r\n"])
async def test_a_server_that_speaks_no_smtp_leaves_one_message_in_doubt_and_ends_at_once(
    nonsense: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mad(Moody):
        async def _body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, recipient: str) -> None:
            writer.write(nonsense)
            await writer.drain()
            await reader.read()

    async with serving(Mad(1, True, 0.0), monkeypatch):
        channel = SmtpSender()
        answer = await channel.send(dispatch("email", people=1))
        assert set(answer.uncertain) == {"0-0-email"}
