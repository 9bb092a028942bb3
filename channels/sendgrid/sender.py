"""SendGrid: one request carries the skeleton once and up to a thousand people's holes as substitutions.

No idempotency key exists for mail, so whatever leaves in doubt whether a request was accepted is Uncertain, server
errors included. Limits: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/limitations and …/errors
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import SecretStr

from passaparola.channel.sender import Branding, Dispatch, Evidence, Sender, SendResult
from passaparola.channels.sendgrid.receiver import ATTEMPT_ARG
from passaparola.channels.sendgrid.request import MAX_SUBSTITUTION_BYTES, build_request
from passaparola.errors import Blocked, Misconfigured, Refused, Slower, TooLarge, Unavailable, Uncertain
from passaparola.failpoints import failpoint
from passaparola.settings import FromEnvironment

if TYPE_CHECKING:
    import aiohttp

MAX_REQUEST_BYTES = 28 * 1024 * 1024
PAGE_SIZE = 500


class SendgridSettings(FromEnvironment):
    sendgrid_api_key: SecretStr = SecretStr("")
    sendgrid_api_url: str = "https://api.sendgrid.com"


class SendgridSender(Sender):
    name = "sendgrid"
    medium = "email"
    branding = Branding("Email")
    batch_size = 1_000
    timeout = 25.0  # so that what a dead worker held is given up within a minute
    all_or_nothing = True

    def __init__(self) -> None:
        settings = SendgridSettings()
        self.key, self.url = settings.sendgrid_api_key.get_secret_value(), settings.sendgrid_api_url.rstrip("/")
        if not self.key:
            raise Misconfigured("SendGrid needs PASSAPAROLA_SENDGRID_API_KEY; see docs/operations.md")
        self.http: aiohttp.ClientSession | None = None

    async def send(self, dispatch: Dispatch) -> SendResult:
        import aiohttp  # half a second, which only those pay who send

        body = orjson.dumps(build_request(dispatch))
        if len(body) > MAX_REQUEST_BYTES:
            raise TooLarge(f"{len(body) // 1024 // 1024} MB in one request")
        try:
            async with self._session().post(
                f"{self.url}/v3/mail/send",
                data=_split_body(body),
                headers={"Content-Length": str(len(body))},
                allow_redirects=False,
            ) as response:
                failpoint("accepted")
                return _interpret(response.status, response.headers, await _read_body(response), dispatch)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unavailable(f"SendGrid cannot be reached: {type(error).__name__}") from None
        except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            raise Uncertain(f"SendGrid's answer was lost: {type(error).__name__}") from None

    async def look_up(self, dispatch: Dispatch) -> Evidence:
        """Look the dispatch up in the Email Activity Feed, an add-on: a request is accepted as a whole, so one
        message of it proves them all. What is not in the feed proves nothing: it lags behind.
        https://www.twilio.com/docs/sendgrid/api-reference/email-activity"""
        import aiohttp

        query = {"limit": "1", "query": f"(unique_args['{ATTEMPT_ARG}']=\"{dispatch.attempt}\")"}
        try:
            async with self._session().get(f"{self.url}/v3/messages", params=query) as response:
                messages = orjson.loads(await response.read()).get("messages") if response.status == 200 else None
        except (TimeoutError, aiohttp.ClientError, orjson.JSONDecodeError, AttributeError):
            return Evidence()
        receipt = str(messages[0].get("msg_id", "")).partition(".")[0] if messages else ""
        ids = (message.id for message in dispatch.messages)
        return Evidence(accepted=dict.fromkeys(ids, receipt)) if messages else Evidence()

    @classmethod
    def unbatchable(cls, dispatch: Dispatch) -> set[str]:
        """Return the messages whose holes are larger than a personalization may carry; alone, a message needs no
        substitutions."""
        tags = 24 * (1 + max((place for part in dispatch.skeleton.parts.values() for place in part.order), default=0))
        room = MAX_SUBSTITUTION_BYTES - tags
        return {
            message.id
            for message in dispatch.messages
            # A character is four bytes at most, so short ones need no exact count.
            if sum(map(len, message.values)) > room // 4 and len("".join(message.values).encode()) > room
        }

    async def suppressions(self, since: datetime) -> list[tuple[str, str]]:
        """Return addresses that SendGrid has stopped writing to on its side, with the reason."""
        return await asyncio.to_thread(self._suppressions, since)

    def _suppressions(self, since: datetime) -> list[tuple[str, str]]:
        from python_http_client.exceptions import HTTPError
        from sendgrid import SendGridAPIClient

        account = SendGridAPIClient(self.key, host=self.url)
        account.client.timeout = self.timeout
        suppressions: list[tuple[str, str]] = []
        for kind, reason in (
            ("bounces", "hard bounce"),
            ("spam_reports", "complaint"),
            ("invalid_emails", "invalid address"),
        ):
            try:
                page: list[Any] = [None] * PAGE_SIZE
                for offset in itertools.count(0, PAGE_SIZE):
                    if len(page) < PAGE_SIZE:
                        break
                    query = {"start_time": int(since.timestamp()), "limit": PAGE_SIZE, "offset": offset}
                    page = orjson.loads(getattr(account.client.suppression, kind).get(query_params=query).body)
                    suppressions += [(entry["email"], reason) for entry in page]
            except (HTTPError, OSError, orjson.JSONDecodeError) as error:
                raise Unavailable(f"SendGrid's {kind} cannot be read: {type(error).__name__}") from None
        return suppressions

    def _session(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self.http is None:
            self.http = aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=self.timeout, sock_connect=10),
                connector=aiohttp.TCPConnector(limit=16, keepalive_timeout=15),
                trust_env=False,
            )
        return self.http

    async def close(self) -> None:
        if self.http:
            await self.http.close()


async def _split_body(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    failpoint("half_written")
    yield body[len(body) // 2 :]


async def _read_body(response: "aiohttp.ClientResponse") -> bytes:
    """Read an error's explanation; where it is lost on the way, the status has to do."""
    import aiohttp

    try:
        return await response.content.read(100_000)
    except (TimeoutError, aiohttp.ClientError):
        return b""


def _interpret(status: int, headers: Any, body: bytes, dispatch: Dispatch) -> SendResult:
    if status in (200, 202):
        return SendResult(receipt=headers.get("X-Message-Id", ""))
    reason, named, field = _parse_errors(body, dispatch)
    if status == 413:
        raise TooLarge("SendGrid: the request is too large")
    if status == 429:
        wait, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", "")
        after = float(wait) if wait.isdigit() else (int(reset) - time.time() if reset.isdigit() else 5.0)
        raise Slower("SendGrid asks us to slow down", after=max(after, 1.0))
    if status == 400 and (named or not field or field.startswith("personalizations")):
        raise Refused(f"SendGrid: {reason}", named)
    if 400 <= status < 500:
        hint = {401: "the API key is not valid", 403: "the key or the sender is not allowed to send"}.get(
            status, reason
        )
        raise Blocked(f"SendGrid refused ({status}): {hint}. Mend it, then: passaparola channel resume sendgrid")
    raise Uncertain(f"SendGrid answered {status}; it may or may not have taken the request")


def _parse_errors(body: bytes, dispatch: Dispatch) -> tuple[str, dict[str, str], str]:
    """Parse the errors of an answer: (what it says, the messages it names, the first field). A 413 and a proxy's
    errors are HTML, which says nothing."""
    try:
        errors = orjson.loads(body)["errors"]
        first = errors[0]
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
        return "no explanation", {}, ""
    named: dict[str, str] = {}
    for error in errors:
        steps = str(error.get("field") or "").split(".")
        if (
            steps[0] == "personalizations"
            and len(steps) > 1
            and steps[1].isdigit()
            and int(steps[1]) < len(dispatch.messages)
        ):
            named[dispatch.messages[int(steps[1])].id] = f"SendGrid: {str(error.get('message'))[:200]}"
    return str(first.get("message"))[:300], named, str(first.get("field") or "")
