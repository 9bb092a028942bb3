"""What is said to us on Mastodon: mentions in public and in private, favourites and boosts, since the last one we
know."""

from asyncio import to_thread
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from passaparola.channel.receiver import InboundEvent, InboundText, ParseResult, Poll, RawPayload, parse_each
from passaparola.channel.signed_webhook import (
    as_list,
    as_mapping,
    clean_text,
    parse_instant,
    parse_json,
    parse_mime_part,
)

KINDS = {"mention": "mentioned", "favourite": "liked", "reblog": "shared"}
PAGE_SIZE, MAX_PAGES = 40, 10


class MastodonReceiver(Poll):
    name = "mastodon"

    async def poll(self, since: str) -> tuple[Sequence[RawPayload], str]:
        return await to_thread(_poll, since)

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        payload = parse_json(body)
        host = clean_text(payload.get("host"))
        return parse_each(
            as_list(payload.get("notifications")),
            lambda notification: _parse_notification(as_mapping(notification), host),
        )


def _poll(since: str) -> tuple[Sequence[RawPayload], str]:
    from passaparola.channels.mastodon.sender import call_api, open_client

    api, bodies, mark = open_client(15.0), [], since
    host = urlsplit(api.api_base_url).hostname or ""
    for _ in range(MAX_PAGES):  # `min_id` goes forward from what we know; the first time, from the newest page
        with call_api(api):
            params = {"min_id": mark} if mark else {}
            page = api.notifications(types=list(KINDS), limit=PAGE_SIZE, **params)
        if not page:
            break
        mark = str(max(int(notification.id) for notification in page))
        bodies.append(
            RawPayload(f"notifications:{mark}", orjson.dumps({"host": host, "notifications": list(page)}, default=str))
        )
        if not since or len(page) < PAGE_SIZE:
            break
    return bodies, mark


def _parse_notification(notification: dict[str, Any], host: str) -> InboundEvent | None:
    from inscriptis import get_text

    kind, status = KINDS.get(clean_text(notification.get("type"))), as_mapping(notification.get("status"))
    handle = clean_text(parse_mime_part(notification, "account", "acct"))
    if kind is None or not status or not handle:
        return None
    whole = handle if "@" in handle else f"{handle}@{host}"
    private = status.get("visibility") == "direct"
    text, about = None, dict[str, Any](private=True) if private else {}
    if kind == "mentioned":
        id_, replied = clean_text(status.get("id")), clean_text(status.get("in_reply_to_id"))
        words = get_text(f"<html><body>{status.get('content') or ''}</body></html>").strip().replace("\x00", "")[:8_000]
        text = InboundText(words, external_id=id_, thread=f"direct:{handle}" if private else replied or id_)
        kind = "replied" if private or replied else "mentioned"
    else:
        about = {"post": clean_text(status.get("id"))}
    return InboundEvent(
        kind=kind,
        id=f"notification:{clean_text(notification.get('id'))}",
        at=parse_instant(notification.get("created_at")),
        addresses={"mastodon": whole},
        medium="mastodon",
        properties=about,
        text=text,
    )
