"""A network's HTTP API, one call at a time, and what its refusals mean in our words.

For networks that need a handful of calls and have no library that is kept. A call that changes something and
whose answer is lost is Uncertain; one that only reads is Unavailable. What a network counts in its headers is
believed before it refuses.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from passaparola.errors import Blocked, ChannelError, Refused, Slower, Unavailable, Uncertain

if TYPE_CHECKING:
    import aiohttp

MAX_REPLY_BYTES = 4 * 1024 * 1024
DEFAULT_RETRY_SECONDS = 60.0  # seconds, for a network that says "slow down" and not for how long


@dataclass(frozen=True)
class HttpReply:
    """A network's answer. `body` is its JSON object; an empty one where there is none."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any] = field(default_factory=dict)


def resume_hint(channel: str) -> str:
    """Return the end of every message about a key."""
    return f"mend it, then: passaparola channel resume {channel}"


class CredentialsRefused(Blocked):
    """It is the key itself; whatever else is not allowed may be about one person."""


class NotFound(Refused):
    """What was asked for is not there."""


class HttpApi:
    """One network, over one session. A channel that knows more about a refusal overrides `understood`."""

    def __init__(
        self, channel: str, title: str, url: str, timeout: float, headers: Mapping[str, str] | None = None
    ) -> None:
        self.channel, self.title, self.url, self.timeout = channel, title, url.rstrip("/"), timeout
        self.headers = dict(headers or {})
        self.http: aiohttp.ClientSession | None = None
        self.free_at = 0.0

    async def read(self, path: str, **given: Any) -> dict[str, Any]:
        """Read something that a call does not change. Raises Unavailable, Blocked, Refused."""
        return (await self.call("GET", path, changes=False, **given)).body

    async def call(
        self, method: str, path: str, *, changes: bool = True, personal: bool = False, **given: Any
    ) -> HttpReply:
        """Make one call. `changes`: a lost answer may hide something that happened. `personal`: it is about one person,
        whose no is theirs alone.

        A path goes out as it is written, so what must be encoded in it is. Raises Unavailable, Blocked, Refused,
        Uncertain.
        """
        import aiohttp  # half a second, which only those pay who send
        from yarl import URL

        if (wait := self.free_at - time.time()) > 0:
            raise Slower(f"{self.title} has no calls left for us until then", after=wait)
        failure: type[ChannelError] = Uncertain if changes else Unavailable
        try:
            where = path if path.startswith("http") else self.url + path
            url = URL(where, encoded=True)
            async with self._session().request(method, url, allow_redirects=False, **given) as response:
                raw = await _read_bounded(response)
                reply = HttpReply(response.status, response.headers, _parse_json(raw) or {})
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unavailable(f"{self.title} cannot be reached: {type(error).__name__}") from None
        except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            raise failure(f"{self.title}'s answer was lost: {type(error).__name__}") from None
        if "0" in (reply.headers.get("x-ratelimit-remaining"), reply.headers.get("ratelimit-remaining")):
            self.free_at = time.time() + retry_after(reply.headers)
        if reply.status < 300:
            if raw.strip() and _parse_json(raw) is None:
                raise failure(f"{self.title} answered {reply.status} with something that is not JSON")
            return reply
        refusal = self.interpret(reply, failure) or self._interpret_status(reply, failure)
        if personal and isinstance(refusal, Blocked) and not isinstance(refusal, CredentialsRefused):
            refusal = Refused(str(refusal).partition("; mend it")[0])
        raise refusal

    def interpret(self, reply: HttpReply, failure: type[ChannelError]) -> ChannelError | None:
        """Return the error that this network means by a reply, or None: what everybody means by it. `failure`: what
        to raise in doubt."""
        return None

    def reason(self, reply: HttpReply) -> str:
        """Return the network's own words."""
        reason = reply.body.get("message") or reply.body.get("error") or reply.body.get("detail") or ""
        return str(reason)[:300] or f"it answered {reply.status}"

    def _interpret_status(self, reply: HttpReply, failure: type[ChannelError]) -> ChannelError:
        if reply.status == 429:
            return Slower(f"{self.title} asks us to slow down", after=retry_after(reply.headers))
        if reply.status in (401, 403):
            what = "refused the key" if reply.status == 401 else f"does not let us do this ({self.reason(reply)})"
            kind = CredentialsRefused if reply.status == 401 else Blocked
            return kind(f"{self.title} {what}; {resume_hint(self.channel)}")
        if reply.status == 404:
            return NotFound(f"{self.title}: {self.reason(reply)}")
        if reply.status >= 500 or reply.status < 400:
            return failure(f"{self.title} answered {reply.status}")
        return Refused(f"{self.title}: {self.reason(reply)}")

    def _session(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self.http is None:
            self.http = aiohttp.ClientSession(
                headers=self.headers,
                timeout=aiohttp.ClientTimeout(total=self.timeout, sock_connect=10),
                trust_env=False,
            )
        return self.http

    async def close(self) -> None:
        if self.http:
            await self.http.close()


def retry_after(headers: Mapping[str, str]) -> float:
    """Return for how many seconds: Retry-After (RFC 9110, 10.2.3), or a reset as seconds or as an instant."""
    for name in ("retry-after", "x-ratelimit-reset", "ratelimit-reset"):
        text = headers.get(name, "")
        if text.replace(".", "", 1).isdigit():
            number = float(text)
            return max(number - time.time() if number > 1_000_000_000 else number, 1.0)
    return DEFAULT_RETRY_SECONDS


async def _read_bounded(response: "aiohttp.ClientResponse") -> bytes:
    """Read a body up to a limit, in as many pieces as it comes."""
    held = bytearray()
    while len(held) < MAX_REPLY_BYTES and (piece := await response.content.read(MAX_REPLY_BYTES - len(held))):
        held += piece
    return bytes(held)


def _parse_json(raw: bytes) -> dict[str, Any] | None:
    """Parse JSON. Return None where it is none."""
    try:
        payload = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return payload if isinstance(payload, dict) else {"list": payload}
