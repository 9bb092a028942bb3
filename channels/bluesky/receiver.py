"""What is said to us on Bluesky: mentions, replies and quotes, likes and reposts, since the last one we know.

https://docs.bsky.app/docs/api/app-bsky-notification-list-notifications
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

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

KINDS = {"mention": "mentioned", "quote": "mentioned", "reply": "replied", "like": "liked", "repost": "shared"}
PAGE_SIZE, MAX_PAGES = 100, 10
POLL_INTERVAL_SECONDS = 10 * 60  # seconds; each look begins a session, of which a day has three hundred at most


class BlueskyReceiver(Poll):
    name = "bluesky"

    async def poll(self, since: str) -> tuple[Sequence[RawPayload], str]:
        from passaparola.channels.bluesky.sender import open_account

        pds, fresh, cursor = open_account(15.0), [], ""
        known, _, polled_at = since.partition(" ")
        if time.time() - float(polled_at or 0) < POLL_INTERVAL_SECONDS:
            return [], since
        try:
            await pds.open()
            for _ in range(MAX_PAGES):
                params = {"limit": str(PAGE_SIZE), **({"cursor": cursor} if cursor else {})}
                page = await pds.read("/xrpc/app.bsky.notification.listNotifications", params=params)
                shown = as_list(page.get("notifications"))
                new = [notification for notification in shown if str(notification.get("indexedAt", "")) > known]
                fresh += new
                cursor = str(page.get("cursor") or "")
                if len(new) < len(shown) or not cursor or not known:
                    break
        finally:
            await pds.close()
        now = int(time.time())
        if not fresh:
            return [], f"{known} {now}"
        newest = max(str(notification["indexedAt"]) for notification in fresh)
        return [RawPayload(f"notifications:{newest}", orjson.dumps({"notifications": fresh[::-1]}))], f"{newest} {now}"

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        return parse_each(
            as_list(parse_json(body).get("notifications")),
            lambda notification: _parse_notification(as_mapping(notification)),
        )


def _parse_notification(notification: dict[str, Any]) -> InboundEvent | None:
    kind, uri = KINDS.get(clean_text(notification.get("reason"))), clean_text(notification.get("uri"))
    handle = clean_text(parse_mime_part(notification, "author", "handle"))
    if kind is None:
        return None
    if not handle or not uri:
        raise ValueError("a notification without author or address")
    words = str(parse_mime_part(notification, "record", "text") or "").replace("\x00", "")[:8_000]
    root = clean_text(parse_mime_part(notification, "record", "reply", "root", "uri")) or uri
    text = InboundText(words, external_id=uri, thread=root) if kind in ("mentioned", "replied") else None
    return InboundEvent(
        kind=kind,
        id=uri[:250],
        at=parse_instant(notification.get("indexedAt")),
        addresses={"bluesky": handle},
        medium="bluesky",
        text=text,
        properties={"post": clean_text(notification.get("reasonSubject"))} if text is None else {},
    )
