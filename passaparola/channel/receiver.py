"""The contract of receivers: what an inbound body says, and what a channel's inbound half must be able to do.

A receiver is a `Webhook` that others call, a `Poll` that fetches, or both. Bodies are stored as they come and parsed
later, so a receiver has to verify and to parse, and nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class InboundText:
    """Words that a contact wrote. `name` is the medium's id of them, `thread` its id of what they answer."""

    text: str
    subject: str = ""
    external_id: str = ""
    thread: str = ""
    automatic: bool = False  # an out-of-office said it, or another machine


@dataclass(
    slots=True
)  # not frozen, though nothing changes it: that would cost three times as much, a million times a day
class InboundEvent:
    """Something that someone did, in the words of the Segment spec; or what became of a message, in ours.

    `id` is the source's name of it: the same told twice, whichever way, has the same. Without any address it is about
    the person of an earlier happening of that source, `about`, or of a message of ours, `message`. `amount` is in the
    currency's minor units.
    """

    kind: str
    id: str
    at: datetime
    addresses: Mapping[str, str] = field(default_factory=dict)
    traits: Mapping[str, str] = field(default_factory=dict)
    amount: int | None = None
    currency: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    accepts_marketing: bool | None = (
        None  # the answer to the sender's own question whether we may write; None: it did not ask
    )
    accepts_marketing_at: datetime | None = None  # when that was answered, where it is not of this very moment
    related_event: str = ""
    message: str = ""  # our id of the message that this came back from
    medium: str = ""  # on which it came back, where it is of a medium
    bot_reason: str = ""  # why we think that a scanner or a prefetch did it; empty: a person
    unverified: bool = False  # anyone may have said it: believed of a message's own person, and of nobody else
    text: InboundText | None = None

    @property
    def is_feedback(self) -> bool:
        """Return whether it is about a message or an address of ours, rather than something that a person did."""
        return self.kind in MESSAGE_FEEDBACK_KINDS

    @property
    def is_urgent(self) -> bool:
        """Return whether it is an opt-out, a complaint, or an address that is dead."""
        if self.kind == "bounced":
            return self.properties.get("bounce") == "hard"
        return self.kind in ("complained", "unsubscribed") or (
            self.kind == "rejected" and bool(self.properties.get("because"))
        )


# What may come back of a message. Every provider's own names are translated into these, by a table in its file.
FEEDBACK_KINDS = frozenset(
    [
        "accepted",
        "delivered",
        "deferred",
        "bounced",
        "rejected",
        "failed",
        "opened",
        "clicked",
        "replied",
        "mentioned",
        "liked",
        "shared",
        "complained",
        "unsubscribed",
        "resubscribed",
        "answered",
        "unknown",
    ]
)
# Of these only what is about a message or an address of ours is kept; they make nobody's acquaintance.
MESSAGE_FEEDBACK_KINDS = FEEDBACK_KINDS - {"replied", "mentioned", "liked", "shared", "answered"}


@dataclass(frozen=True)
class ParseResult:
    """What a body says. One item that is not understood stops no other; with neither, there was nothing for us in
    it."""

    events: Sequence[InboundEvent] = ()
    problems: Sequence[str] = ()


def parse_each(items: Iterable[T], parse: Callable[[T], InboundEvent | None]) -> ParseResult:
    """Parse each item by itself. What is wrong with one is a problem in the result and stops no other; `parse`
    returns None for what is not for us."""
    happenings, problems = [], []
    for place, item in enumerate(items, 1):
        try:
            if event := parse(item):
                happenings.append(event)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            problems.append(f"item {place}: {error}"[:200])
    return ParseResult(happenings, problems[:20])


@dataclass(frozen=True)
class RawPayload:
    """A body as it was fetched; `key` is the network's own name of it."""

    key: str
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Receiver(ABC):
    """A channel's inbound half: bodies are stored as they come, and parsed later."""

    name: ClassVar[str]
    media: ClassVar[tuple[str, ...]] = ()  # on which people write to it, where that is not the medium of its own name
    needs_deadline: ClassVar[bool] = (
        False  # how long reading a body takes is the stranger's who wrote it: it gets a deadline
    )

    @abstractmethod
    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        """Parse a body. Raises ValueError: nothing of it is understood."""

    @classmethod
    def may_be_urgent(cls, body: bytes) -> bool:
        """Return whether a body may hold an opt-out, a complaint or a hard bounce, which go before everything else.
        Looks for words only; nothing is parsed."""
        return False


class Webhook(Receiver):
    """A receiver that others call, believed by a signature over the raw bytes.

    Header names come in lower case. Some are no headers, as in HTTP/2: `:path` is the path with its query, and for
    `parse` `:at` is the time of arrival.
    """

    max_body_bytes: ClassVar[int] = (
        1_000_000  # bytes of a body; the largest orders that shops send are some hundred thousand
    )

    @abstractmethod
    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        """Verify a delivery. Return the sender's id of it, the same when it is sent again; None for a greeting that
        says nothing. Raises Misconfigured: no secret is set; Forged: the signature is not theirs."""

    @classmethod
    def challenge(cls, question: Mapping[str, str]) -> str | None:
        """Answer a provider that asks by GET whether the address is ours. Return None where it does not ask so."""
        return None


class Poll(Receiver):
    """A receiver that fetches from a network or mailbox which calls nobody."""

    @abstractmethod
    async def poll(self, since: str) -> tuple[Sequence[RawPayload], str]:
        """Fetch what is new since the last cursor, oldest first. Return the bodies and the next cursor. Raises
        Misconfigured: no setting says where to look; Unavailable, Blocked."""
