"""Any SMTP server, over a few kept connections: each message has its own answer, and the doubt is one message wide.

What is refused before the body went out was certainly not accepted; what broke after it may have been (RFC 1047).
"""

import asyncio
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import aiosmtplib
from pydantic import SecretStr

from channels._mime import Letter
from channels.base import Answer, Channel, Dispatch, Look, Outgoing
from channels.naming import envelope_sender
from errors import Blocked, Misconfigured, Unavailable
from failpoints import failpoint
from settings import FromEnvironment, settings

CONNECTIONS = 5


class SmtpSettings(FromEnvironment):
    smtp_url: SecretStr = SecretStr("")
    bounce_address: str = ""  # bounces come back to bounce+<message>@…; a channel that hears mail reads them


class Smtp(Channel):
    name = "smtp"
    medium = "email"
    look = Look("Email")
    batch = 100
    timeout = 300.0  # for a whole batch; one command has a fifth of it

    def __init__(self) -> None:
        own = SmtpSettings()
        url = urlsplit(own.smtp_url.get_secret_value())
        if url.scheme not in ("smtp", "smtps") or not url.hostname:
            raise Misconfigured("SMTP needs PASSAPAROLA_SMTP_URL such as smtp://user:password@host:587")
        self.url, self.bounces = url, own.bounce_address
        self.idle: list[aiosmtplib.SMTP] = []

    async def send(self, dispatch: Dispatch) -> Answer:
        letter = Letter(dispatch)
        waiting = list(reversed(dispatch.messages))
        lines = await self._connected(min(CONNECTIONS, len(waiting)))
        run = _Run(letter, self._envelope(dispatch), waiting)
        kept = await asyncio.gather(*(run.line(client) for client in lines))
        if run.blocked and len(waiting) == len(dispatch.messages):
            raise Blocked(run.blocked)
        self.idle += [client for client, alive in zip(lines, kept, strict=True) if alive]
        for message in waiting:  # every line broke before it came to these
            run.deferred[message.id] = "the connection to the server broke"
        failpoint("accepted")
        return Answer(refused=run.refused, deferred=run.deferred, uncertain=run.uncertain)

    def _envelope(self, dispatch: Dispatch) -> Callable[[Outgoing], str]:
        """Who a bounce goes to: each message's own address, where bounces are heard."""
        if not self.bounces:
            return lambda message: dispatch.sender.email
        return lambda message: envelope_sender(self.bounces, settings().secret, message.id)

    async def _connected(self, count: int) -> list[aiosmtplib.SMTP]:
        """At least one open line, or Unavailable; an idle one that the server has closed is not used."""
        lines: list[aiosmtplib.SMTP] = []
        while self.idle and len(lines) < count:
            client = self.idle.pop()
            try:
                await client.noop()
                lines.append(client)
            except (aiosmtplib.SMTPException, OSError):
                client.close()
        made = await asyncio.gather(*(self._line() for _ in range(count - len(lines))), return_exceptions=True)
        lines += [client for client in made if isinstance(client, aiosmtplib.SMTP)]
        for error in made:
            if isinstance(error, aiosmtplib.SMTPAuthenticationError):
                raise Blocked(f"the SMTP server refused the user and password: {error.message}") from None
        if not lines:
            raise Unavailable(f"the SMTP server cannot be reached: {made[0]}")
        return lines

    async def _line(self) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(
            hostname=self.url.hostname,
            port=self.url.port or (465 if self.url.scheme == "smtps" else 587),
            username=unquote(self.url.username) if self.url.username else None,
            password=unquote(self.url.password) if self.url.password else None,
            use_tls=self.url.scheme == "smtps",
            timeout=self.timeout / 5,
        )
        await client.connect()
        return client

    async def close(self) -> None:
        for client in self.idle:
            try:
                await client.quit()
            except (aiosmtplib.SMTPException, OSError):
                client.close()


class _Run:
    """One dispatch over several lines, each taking the next message until none is left."""

    def __init__(self, letter: Letter, envelope: Callable[[Outgoing], str], waiting: list[Outgoing]) -> None:
        self.letter, self.envelope, self.waiting = letter, envelope, waiting
        self.blocked = ""
        self.refused: dict[str, str] = {}
        self.deferred: dict[str, str] = {}
        self.uncertain: dict[str, str] = {}

    async def line(self, client: aiosmtplib.SMTP) -> bool:
        """False when the line broke on the way."""
        while self.waiting and not self.blocked:
            if not await self._one(client, self.waiting.pop()):
                client.close()
                return False
        return True

    async def _one(self, client: aiosmtplib.SMTP, message: Outgoing) -> bool:
        began = False
        try:
            body = self.letter.build(message)
            await client.mail(self.envelope(message))
            await client.rcpt(message.to)
            failpoint("half_written")
            began = True
            await client.data(body)
        except ValueError as error:
            self.refused[message.id] = str(error)
            return await _cleared(client)
        except aiosmtplib.SMTPSenderRefused as error:
            if error.code >= 500:
                self.blocked = (
                    f"the SMTP server does not take mail from {self.envelope(message)}: {error.code} {error.message}"[
                        :300
                    ]
                )
                self.waiting.append(message)
                return False
            self.deferred[message.id] = f"{error.code} {error.message}"[:300]
            return await _cleared(client)
        except aiosmtplib.SMTPResponseException as error:
            said = f"{error.code} {error.message}"[:300]
            (self.refused if error.code >= 500 else self.deferred)[message.id] = said
            return await _cleared(client)
        except (aiosmtplib.SMTPException, OSError) as error:
            return self._broken(message, began, str(error) or type(error).__name__)
        return True

    def _broken(self, message: Outgoing, began: bool, why: str) -> bool:
        (self.uncertain if began else self.deferred)[message.id] = f"the connection broke: {why}"[:300]
        return False


async def _cleared(client: aiosmtplib.SMTP) -> bool:
    try:
        await client.rset()
        return True
    except (aiosmtplib.SMTPException, OSError):
        return False
