"""What posts have in common, whatever the network: their text, their pictures, their sender, and what is wrong with
them."""

import hashlib
import mimetypes
import unicodedata
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import regex

from passaparola.channel.sender import Dispatch, Evidence, Media, Sender, SendResult, Skeleton
from passaparola.errors import ChannelError, Misconfigured, Refused
from passaparola.failpoints import failpoint
from passaparola.settings import get_settings

URL = regex.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?')\]}]")
TAG = regex.compile(r"(?<![\w/&])#(\p{L}[\p{L}\p{N}_]*)")


@dataclass(frozen=True)
class PostLimits:
    """What a network takes in one post. `pictures` is how many, `bytes` how large one may be."""

    text: int
    pictures: int
    bytes: int
    kinds: tuple[str, ...] = (".png", ".jpg", ".jpeg")
    count: Callable[[str], int] = len


@dataclass(frozen=True)
class RecentPosts:
    """Our own posts as a network shows them, as (receipt, text). `complete`: older ones need not be asked for."""

    posts: Sequence[tuple[str, str]]
    complete: bool


class Duplicate(ChannelError):
    """The network says that it holds this very post already."""


class PostSender(Sender):
    """A sender of public posts, and of answers to people.

    A network's own class says how to `publish`, how to `reply`, and how to list `recent` posts; its limits, what an
    approver sees of them, and the look-up of a lost answer follow from these.
    """

    public = True
    timeout = 60.0
    limits: ClassVar[PostLimits]

    @abstractmethod
    async def publish(self, text: str, dispatch: Dispatch) -> str:
        """Publish a post. Return its receipt. Raises as `send` does; Duplicate: the network holds this very post."""

    @abstractmethod
    async def reply(self, to: str, text: str, dispatch: Dispatch) -> str:
        """Answer `to`, a post, a comment, or `direct:` and a person. Return the answer's receipt. Raises as `send`
        does."""

    async def recent(self, since: datetime) -> RecentPosts | None:
        """List our own posts since an instant; None where the network cannot be asked."""
        return None

    @classmethod
    def as_shown(cls, text: str) -> str:
        """Return a text as `recent` would show it."""
        return text

    @classmethod
    def post_limits(cls) -> PostLimits:
        return cls.limits

    @classmethod
    def problems(cls, skeleton: Skeleton) -> list[str]:
        return find_problems(skeleton, cls.branding.title, cls.post_limits())

    @classmethod
    def approval_note(cls, skeleton: Skeleton) -> str:
        limits = cls.post_limits()
        return f"{limits.count(skeleton_text(skeleton))} of {limits.text}"

    async def send(self, dispatch: Dispatch) -> SendResult:
        message, text = dispatch.messages[0], dispatch_text(dispatch)
        if answered := message.headers.get("In-Reply-To", ""):
            receipt = await self.reply(answered, text, dispatch)
        else:
            receipt = await self._publish_once(text, dispatch)
        failpoint("accepted")
        return SendResult(receipt=receipt, receipts={message.id: receipt})

    async def _publish_once(self, text: str, dispatch: Dispatch) -> str:
        try:
            return await self.publish(text, dispatch)
        except Duplicate as error:
            accepted = (await self.look_up(dispatch)).accepted
            if dispatch.messages[0].id in accepted:
                return accepted[dispatch.messages[0].id]
            title = self.branding.title
            raise Refused(f"{title} already holds this very post ({error}); change the wording") from None

    async def look_up(self, dispatch: Dispatch) -> Evidence:
        """Look the dispatch up by its text among our own posts since the launch."""
        recent = await self.recent(dispatch.since - timedelta(minutes=1))
        if recent is None:
            return Evidence()
        id_, wanted = dispatch.messages[0].id, self.as_shown(dispatch_text(dispatch))
        for receipt, text in recent.posts:
            if same_text(text, wanted):
                return Evidence({id_: receipt})
        return Evidence(absent=frozenset([id_])) if recent.complete else Evidence()


def skeleton_text(skeleton: Skeleton) -> str:
    return skeleton.parts["text"].fill(()).strip()


def dispatch_text(dispatch: Dispatch) -> str:
    """Return the text of a dispatch that carries one message."""
    return dispatch.skeleton.parts["text"].fill(dispatch.messages[0].values).strip()


def same_text(text: str, other: str) -> bool:
    """Compare two texts after what networks do to them: they trim, join and compose characters."""
    return _normalised(text) == _normalised(other)


def _normalised(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def require_length(text: str, most: int, title: str) -> str:
    """Refuse a text that is too long. Raises Refused: nobody's words are cut."""
    if len(text) > most:
        raise Refused(f"{title} takes {most} characters in an answer; this has {len(text)}")
    return text


def find_problems(skeleton: Skeleton, title: str, limits: PostLimits) -> list[str]:
    """List what is wrong with a post, in a marketer's words."""
    text, problems = skeleton_text(skeleton), []
    if not text and not skeleton.media:
        problems.append("there is nothing to post")
    if (length := limits.count(text)) > limits.text:
        problems.append(f"{length} characters as {title} counts them; {limits.text} are the most")
    if len(skeleton.media) > limits.pictures:
        problems.append(
            f"{title} takes {limits.pictures} pictures in a post at most"
            if limits.pictures
            else f"{title} takes no pictures"
        )
    for media in skeleton.media:
        path = get_settings().home / media.path
        if path.suffix.lower() not in limits.kinds:
            problems.append(f"{path.name}: {title} takes {', '.join(kind[1:].upper() for kind in limits.kinds)}")
        elif path.is_file() and path.stat().st_size > limits.bytes:
            problems.append(f"{path.name} is larger than {limits.bytes / 1024 / 1024:g} MB")
    return problems


def load_picture(media: Media) -> tuple[str, bytes, str]:
    """Load the picture that was approved. Return its name, bytes and media type. Raises Refused: the file is
    another one by now."""
    path = get_settings().home / media.path
    if not path.is_file():
        raise Refused(f"{path.name}, the picture that was approved, is not there any more")
    body = path.read_bytes()
    if media.sha256 and hashlib.sha256(body).hexdigest() != media.sha256:
        raise Refused(f"{path.name} is not the picture that was approved")
    return path.name, body, mimetypes.guess_type(path.name)[0] or "image/jpeg"


def missing_library(extra: str, what: str) -> Misconfigured:
    """Return the error for a library that is not installed, with the command that installs it."""
    return Misconfigured(f"{what} needs a library that is not installed: pip install 'passaparola[{extra}]'")
