"""What posts have in common, whatever the network: their text, their pictures, and what is wrong with them."""

import hashlib
import mimetypes
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import regex

from passaparola.channel.sender import Dispatch, Media, Skeleton
from passaparola.errors import Misconfigured, Refused
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


def length_note(skeleton: Skeleton, limits: PostLimits) -> str:
    return f"{limits.count(skeleton_text(skeleton))} of {limits.text}"


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
