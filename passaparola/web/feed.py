"""The campaigns' public posts as a feed: what the ledger says is sent by RSS stands in it, the newest first.

Atom (RFC 4287) at /feed.xml. An entry keeps its id for ever, a tag URI (RFC 4151) of its launch and step.
"""

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, Response
from sqlalchemy import select
from sqlmodel import Session, col

from passaparola.outbox.batches import cut_batch_wording
from passaparola.settings import get_settings
from passaparola.store.models import Batch, Enrolment, Launch, Message, message_state
from passaparola.store.states import MessageState
from passaparola.web.link_context import pages, store
from passaparola.web.mailbox import is_local

router = APIRouter()
MAX_ENTRIES, CACHE_MINUTES = 50, 5
PICTURES = {"image/png", "image/jpeg", "image/webp", "image/gif"}


@dataclass(frozen=True)
class Entry:
    """A post of the feed. `pictures` are the name of each, what it shows, its media type and its size."""

    id: str
    title: str
    text: str
    link: str
    at: datetime
    campaign: str
    locale: str
    pictures: tuple[tuple[str, str, str, int], ...] = ()

    def paragraphs(self) -> list[str]:
        return [part for part in self.text.split("\n\n") if part.strip()]


@router.head("/feed.xml", include_in_schema=False)
@router.get("/feed.xml")
def feed(request: Request) -> Response:
    settings = get_settings()
    with store().read() as session:
        entries = _entries(session, settings.public_url, is_local(request))
    newest = max((entry.at for entry in entries), default=datetime(2026, 1, 1, tzinfo=UTC)).replace(microsecond=0)
    shown = {"entries": entries, "updated": newest, "own": settings, "host": urlsplit(settings.public_url).hostname}
    body = pages.get_template("feed.xml").render(shown).encode()
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Last-Modified": format_datetime(newest, usegmt=True),
        "Cache-Control": f"max-age={CACHE_MINUTES * 60}",
    }
    if _is_not_modified(request.headers, tag, newest):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/atom+xml; charset=utf-8", headers=headers)


@router.get("/feed/{launch}/{step}/{number}")
def picture(request: Request, launch: int, step: int, number: int) -> Response:
    """Serve a picture of an entry, which is public; nothing else of the house is."""
    settings = get_settings()
    with store().read() as session:
        match = next(
            (
                posted
                for posted in _posted_batches(session, is_local(request))
                if (posted[0].id, posted[1].step) == (launch, step)
            ),
            None,
        )
    media = cut_batch_wording(match[0].content, match[1]).skeleton.media if match else ()
    if not 0 <= number < len(media):
        raise HTTPException(404)
    path = (settings.home / media[number].path).resolve()
    kind = mimetypes.guess_type(path.name)[0] or ""
    if not path.is_relative_to((settings.home / "templates").resolve()) or not path.is_file() or kind not in PICTURES:
        raise HTTPException(404)
    return FileResponse(path, media_type=kind)


def _posted_batches(session: Session, previewed: bool) -> list[tuple[Launch, Batch]]:
    """Return what went out; on this machine also what only went into the local mailbox."""
    carried: Any = col(Launch.content)["channels"]
    chosen = (
        select(Launch, Batch)
        .join(Batch, col(Batch.launch_id) == col(Launch.id))
        .join(Message, col(Message.batch_id) == col(Batch.id))
        .join(Enrolment, col(Enrolment.id) == col(Message.enrolment_id))
        .where(col(Batch.medium) == "rss", col(Enrolment.contact_id).is_(None), message_state() == MessageState.SENT)
        .where(*(() if previewed else (carried["rss"].as_string() == "rss",)))
        .order_by(col(Batch.finished_at).desc(), col(Batch.id).desc())
        .limit(MAX_ENTRIES)
    )
    return [(launch, batch) for launch, batch in session.execute(chosen)]


def _entries(session: Session, public_url: str, previewed: bool) -> list[Entry]:
    entries = []
    for launch, batch in _posted_batches(session, previewed):
        skeleton = cut_batch_wording(launch.content, batch).skeleton
        text = skeleton.parts["text"].fill(()).strip()
        at = (batch.finished_at or launch.created_at).replace(microsecond=0)
        place = f"{launch.id}/{batch.step}"
        tag = f"tag:{urlsplit(public_url).hostname},{launch.created_at:%Y-%m-%d}:launch/{place}"
        entries.append(
            Entry(
                tag,
                _title(text, launch.content["title"]),
                text,
                _link(text) or public_url,
                at,
                launch.campaign,
                batch.locale,
                tuple(
                    _picture(f"{public_url}/feed/{place}/{n}", media.path, media.alt)
                    for n, media in enumerate(skeleton.media)
                ),
            )
        )
    return entries


def _picture(url: str, path: str, alt: str) -> tuple[str, str, str, int]:
    file = get_settings().home / path
    kind = mimetypes.guess_type(Path(path).name)[0] or "image/png"
    return url, alt, kind, file.stat().st_size if file.is_file() else 0


def _title(text: str, campaign: str) -> str:
    """Return the first sentence, where it is short enough for a title."""
    first = text.split("\n")[0]
    for end in (". ", "! ", "? ", ": "):
        first = first.partition(end)[0] + (end.strip() if end in first and end != ": " else "")
    return first if 0 < len(first) <= 100 and "http" not in first else campaign


def _link(text: str) -> str:
    return next((word.rstrip(".,;:!?)") for word in text.split() if word.startswith(("http://", "https://"))), "")


def _is_not_modified(headers: Mapping[str, Any], tag: str, newest: datetime) -> bool:
    """Compare validators (RFC 9110, 13.2.2): an ETag, where there is one, goes before a date."""
    if "if-none-match" in headers:
        return tag in [given.strip().removeprefix("W/") for given in headers["if-none-match"].split(",")]
    try:
        return parsedate_to_datetime(headers["if-modified-since"]) >= newest
    except (KeyError, TypeError, ValueError):
        return False
