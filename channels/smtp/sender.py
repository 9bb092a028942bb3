"""Any SMTP server, over a few kept connections: each message has its own answer, and the doubt is one message wide.

What is refused before the body went out was certainly not accepted; what broke after it may have been (RFC 1047).
Where the server allows it (RFC 2920), a message's three commands are one group, and go out behind the body of the
message before.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import aiosmtplib
from pydantic import SecretStr

from passaparola.channel.message_ids import envelope_sender
from passaparola.channel.mime import MimeBuilder
from passaparola.channel.sender import Branding, Dispatch, OutboundMessage, Sender, SendResult
from passaparola.channels.smtp.wire import ConnectionBroken, SmtpReply, Wire
from passaparola.errors import Blocked, Misconfigured, Unavailable
from passaparola.failpoints import failpoint
from passaparola.settings import FromEnvironment, get_settings

MAX_CONNECTIONS = 5


class SmtpSettings(FromEnvironment):
    smtp_url: SecretStr = SecretStr("")
    bounce_address: str = ""  # bounces come back to bounce+<message>@…; the channel `mail` reads them


class SmtpSender(Sender):
    name = "smtp"
    medium = "email"
    branding = Branding("Email")
    batch_size = 200
    timeout = 300.0  # for a whole batch; one command has a fifth of it

    def __init__(self) -> None:
        settings = SmtpSettings()
        url = urlsplit(settings.smtp_url.get_secret_value())
        if url.scheme not in ("smtp", "smtps") or not url.hostname:
            raise Misconfigured("SMTP needs PASSAPAROLA_SMTP_URL such as smtp://user:password@host:587")
        self.url, self.bounces = url, settings.bounce_address
        self.idle: list[Wire] = []

    async def send(self, dispatch: Dispatch) -> SendResult:
        waiting = deque(dispatch.messages)
        wires = await self._open_wires(min(MAX_CONNECTIONS, len(waiting)))
        run = _DispatchRun(MimeBuilder(dispatch), self._envelope_sender(dispatch), waiting)
        await asyncio.gather(*(run.send_over(wire) for wire in wires))
        if run.blocked and len(waiting) == len(dispatch.messages):
            raise Blocked(run.blocked)
        self.idle += [wire for wire in wires if not wire.broken]
        for message in waiting:  # every wire broke before it came to these
            run.deferred[message.id] = "the connection to the server broke"
        failpoint("accepted")
        return SendResult(refused=run.refused, deferred=run.deferred, uncertain=run.uncertain)

    def _envelope_sender(self, dispatch: Dispatch) -> Callable[[OutboundMessage], str]:
        """Build the envelope's sender, to which a bounce goes: each message's own address, where a bounce address
        is set."""
        if not self.bounces:
            return lambda message: dispatch.sender.email
        return lambda message: envelope_sender(self.bounces, get_settings().secret, message.id)

    async def _open_wires(self, count: int) -> list[Wire]:
        """Return at least one open wire, or Unavailable; an idle one that the server has closed is not used."""
        wires: list[Wire] = []
        while self.idle and len(wires) < count:
            if await _is_alive(wire := self.idle.pop()):
                wires.append(wire)
        made = await asyncio.gather(*(self._open_wire() for _ in range(count - len(wires))), return_exceptions=True)
        wires += [wire for wire in made if isinstance(wire, Wire)]
        for error in made:
            if isinstance(error, aiosmtplib.SMTPAuthenticationError):
                raise Blocked(f"the SMTP server refused the user and password: {error.message}") from None
        if not wires:
            raise Unavailable(f"the SMTP server cannot be reached: {made[0]}")
        return wires

    async def _open_wire(self) -> Wire:
        client = aiosmtplib.SMTP(
            hostname=self.url.hostname,
            port=self.url.port or (465 if self.url.scheme == "smtps" else 587),
            username=unquote(self.url.username) if self.url.username else None,
            password=unquote(self.url.password) if self.url.password else None,
            use_tls=self.url.scheme == "smtps",
            timeout=self.timeout / 5,
        )
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
        return Wire.over(client, self.timeout / 5)

    async def close(self) -> None:
        for wire in self.idle:
            try:
                await wire.write(b"QUIT\r\n")
                await wire.reply()
            except ConnectionBroken:
                pass
            wire.close()


async def _is_alive(wire: Wire) -> bool:
    try:
        await wire.write(b"NOOP\r\n")
        if (await wire.reply()).code == 250 and not wire.replies:
            return True
    except ConnectionBroken:
        pass
    wire.close()
    return False


@dataclass(frozen=True, slots=True)
class _EncodedMessage:
    """A message in the bytes of the wire."""

    message: OutboundMessage
    envelope: tuple[bytes, bytes, bytes]
    body: bytes


class _DispatchRun:
    """One dispatch along several wires, each taking the next message until none is left."""

    def __init__(
        self, mime: MimeBuilder, envelope: Callable[[OutboundMessage], str], waiting: deque[OutboundMessage]
    ) -> None:
        self.mime, self.envelope, self.waiting = mime, envelope, waiting
        self.blocked = ""
        self.refused: dict[str, str] = {}
        self.deferred: dict[str, str] = {}
        self.uncertain: dict[str, str] = {}

    async def send_over(self, wire: Wire) -> None:
        """Send queued messages until the queue is empty or the connection breaks. Re-queue the message whose
        envelope was already pipelined."""
        current, envelope_sent = self._next_message(), False
        while current:
            following: _EncodedMessage | None = None
            began = False
            try:
                if not await self._envelope_accepted(wire, current, envelope_sent):
                    if self.blocked:
                        wire.close()
                        return
                    current, envelope_sent = None, False  # it has its answer, whatever happens now
                    await _reset(wire)
                    current = self._next_message()
                    continue
                following = self._next_message()
                failpoint("half_written")
                began = True
                ahead = following.envelope if following and wire.pipelining else ()
                await wire.write(current.body, *ahead)
                self._record_reply(current.message, await wire.reply())
                current, envelope_sent = following, bool(ahead)
            except ConnectionBroken as error:
                # What was not begun goes to another wire; what was, may have arrived.
                if began and current:
                    self.uncertain[current.message.id] = f"the connection broke: {error}"[:300]
                unbegun = following if began else current
                if unbegun:
                    self.waiting.append(unbegun.message)
                return

    def _next_message(self) -> _EncodedMessage | None:
        """Return the next message that can be encoded at all."""
        while self.waiting and not self.blocked:
            message = self.waiting.popleft()
            try:
                envelope = (
                    _command("MAIL FROM", self.envelope(message)),
                    _command("RCPT TO", message.to_address),
                    b"DATA\r\n",
                )
                return _EncodedMessage(message, envelope, self.mime.build(message) + b".\r\n")
            except ValueError as error:
                self.refused[message.id] = str(error)
        return None

    async def _envelope_accepted(self, wire: Wire, ready: _EncodedMessage, envelope_sent: bool) -> bool:
        """Return whether the server waits for the body. `said`: the envelope is on its way already."""
        replies = await self._envelope_replies(wire, ready, envelope_sent)
        wrong = next((reply for reply in replies if reply.code >= 400), None)
        if wrong is None:
            if replies[-1].code != 354:
                raise ConnectionBroken(f"it answers {replies[-1]} to DATA")
            return True
        if replies[-1].code == 354:  # RFC 2920, 3.1: it waits for a body although nobody is to get it
            await wire.write(b".\r\n")
            await wire.reply()
        if wrong is replies[0] and wrong.code >= 500:
            sender = self.envelope(ready.message)
            self.blocked = f"the SMTP server does not take mail from {sender}: {wrong}"[:300]
            self.waiting.append(ready.message)
        else:
            (self.refused if wrong.code >= 500 else self.deferred)[ready.message.id] = str(wrong)
        return False

    async def _envelope_replies(self, wire: Wire, ready: _EncodedMessage, envelope_sent: bool) -> list[SmtpReply]:
        """Read the replies to the envelope: all three at once, or one by one up to the first refusal."""
        if wire.pipelining:
            if not envelope_sent:
                await wire.write(*ready.envelope)
            return [await wire.reply() for _ in ready.envelope]
        replies: list[SmtpReply] = []
        for command in ready.envelope:
            await wire.write(command)
            replies.append(await wire.reply())
            if replies[-1].code >= 400:
                break
        return replies

    def _record_reply(self, message: OutboundMessage, reply: SmtpReply) -> None:
        if reply.code >= 400:
            (self.refused if reply.code >= 500 else self.deferred)[message.id] = str(reply)


async def _reset(wire: Wire) -> None:
    """Reset the connection between two messages: a refusal may have left half an envelope behind."""
    await wire.write(b"RSET\r\n")
    await wire.reply()


def _command(verb: str, address: str) -> bytes:
    """Build a command of the protocol. Raises ValueError: an address that would be read as something else."""
    if not address.isprintable() or any(sign in address for sign in " <>"):
        raise ValueError("an address holds a space, a bracket or a control character")
    return f"{verb}:<{address}>\r\n".encode("ascii")
