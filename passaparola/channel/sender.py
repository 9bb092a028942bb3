"""The contract of senders: what a channel is given to send, what it answers, and what it must be able to do.

A channel is a file or folder of `channels/` with a sender, a receiver (receiver.py), or both. It declares its settings;
the sender its medium, limits and prices, and how a dispatch is sent; the receiver which bodies it verifies, and how
they are parsed. `errors.ChannelError` draws the tree of what a sender may raise instead of an answer.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar


@dataclass(frozen=True)
class Part:
    """One text of a content, cut at its holes: `statics` has one piece more than `order` has holes.

    `order` says which of a message's values fills each hole, so a value used twice is computed and sent once.
    """

    statics: tuple[str, ...]
    order: tuple[int, ...] = ()

    def fill(self, values: Sequence[str]) -> str:
        pieces = [self.statics[0]]
        for place, static in zip(self.order, self.statics[1:], strict=True):
            pieces.append(values[place])
            pieces.append(static)
        return "".join(pieces)


@dataclass(frozen=True)
class Media:
    """A picture that goes with a post; `alt` says what it shows to those who do not see it.

    `sha256` is of the picture that was approved; another one under its name is not sent.
    """

    path: str
    alt: str
    sha256: str = ""


@dataclass(frozen=True)
class Skeleton:
    """What all messages of a dispatch have in common. Email has subject, html and text; a post has text only.

    `template` is a provider's own name of content that it has approved; its numbered places are parts called 1, 2, ….
    """

    parts: Mapping[str, Part]
    media: tuple[Media, ...] = ()
    template: str = ""


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One message: our id of it, where it goes (empty: to the public), and what fills the holes.

    `headers` are those of a letter; `In-Reply-To` names what is answered on every medium.
    """

    id: str
    to_address: str
    name: str
    values: tuple[str, ...]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class FromIdentity:
    name: str
    email: str
    reply_to: str = ""


@dataclass(frozen=True)
class Dispatch:
    """What one attempt hands to a channel: a skeleton and up to a request's worth of messages.

    `since` is when the launch was prepared: evidence that is older is not of it.
    """

    attempt: int
    medium: str
    campaign: str
    skeleton: Skeleton
    sender: FromIdentity
    since: datetime
    messages: tuple[OutboundMessage, ...]


@dataclass(frozen=True)
class SendResult:
    """What became of a dispatch that was answered. Whoever is named in none of the three was accepted.

    refused: never to be tried again · deferred: not accepted, try later · uncertain: may have been accepted.
    """

    receipt: str = ""
    receipts: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    deferred: Mapping[str, str] = field(default_factory=dict)
    uncertain: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """What a look-up proved: `accepted` maps message ids to receipts; `absent` were certainly never accepted.

    `gone` were accepted and are not there: taken down, or never shown. Nobody tries those again by themselves.
    """

    accepted: Mapping[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Branding:
    """How people know a medium: its name, its colour, how it shows what is said there, and where its share links
    lead."""

    title: str
    colour: str = "#57534e"
    fold: int = 0  # characters after which a long post says "more"; 0: it does not
    bubble: bool = False  # a message in a chat rather than a post on a page
    share: str = ""  # with {url} and {text} in it


class Sender(ABC):
    """A channel's outbound half. Made inside a running event loop and closed with it."""

    name: ClassVar[str]
    medium: ClassVar[str]
    branding: ClassVar[Branding]
    address_kind: ClassVar[str] = ""  # the kind of address it writes to, where that is not its own medium: phone
    reply_window: ClassVar[timedelta | None] = (
        None  # for how long after someone's word they may be written to without a template
    )
    public: ClassVar[bool] = False
    batch_size: ClassVar[int] = 1
    timeout: ClassVar[float] = 30.0  # seconds after which nobody waits for an answer any more
    all_or_nothing: ClassVar[bool] = (
        False  # a request is accepted whole or not at all: what proves one message proves them all
    )

    @abstractmethod
    async def send(self, dispatch: Dispatch) -> SendResult:
        """Make one call. Raises Refused, TooLarge, Unavailable, Blocked or Uncertain."""

    async def look_up(self, dispatch: Dispatch) -> Evidence:
        """Return what the provider knows of a dispatch whose answer never came. Default: nothing is ever proved."""
        return Evidence()

    async def read_back(self, receipt: str) -> bool | None:
        """Return whether a post is there for people to see. Default: this network cannot be asked. Raises
        Unavailable, Blocked."""
        return None

    async def suppressions(self, since: datetime) -> list[tuple[str, str]]:
        """Return addresses that the provider has stopped writing to on its side, with the reason."""
        return []

    @classmethod
    def unbatchable(cls, dispatch: Dispatch) -> set[str]:
        """Return the ids of messages that can't share a request with others."""
        return set()

    @classmethod
    def problems(cls, skeleton: Skeleton) -> list[str]:
        """Return what the network would refuse in this content, in a marketer's words; asked before anyone sends."""
        return []

    @classmethod
    def price(cls, skeleton: Skeleton) -> Decimal:
        """Return what one message costs, in US dollars, where the provider charges by the message."""
        return Decimal(0)

    @classmethod
    def approval_note(cls, skeleton: Skeleton) -> str:
        """Return what else an approver should see of this content, such as its length as the network counts it."""
        return ""

    @classmethod
    def split_posts(cls, text: str) -> list[str]:
        """Split a text into the posts that people see: a thread, where it is too long for one."""
        return [text]

    @classmethod
    def post_url(cls, receipt: str) -> str:
        """Return where people see a post; empty where that is nowhere."""
        return ""

    async def close(self) -> None:
        """Close connections."""
        return None
