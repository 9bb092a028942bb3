"""What is said to us on Bluesky: mentions, replies and quotes, likes and reposts, since the last one we know.

https://docs.bsky.app/docs/api/app-bsky-notification-list-notifications
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from passaparola.channel.receiver import Body, Happening, Heard, Poll, Said, each
from passaparola.channel.signed_webhook import at, json_of, listed, mapping, part, text

KINDS = {"mention": "mentioned", "quote": "mentioned", "reply": "replied", "like": "liked", "repost": "shared"}
PAGE, MOST_PAGES = 100, 10
BETWEEN = 10 * 60  # seconds; each look begins a session, of which a day has three hundred at most


class BlueskyEar(Poll):
    name = "bluesky"

    async def look(self, since: str) -> tuple[Sequence[Body], str]:
        from passaparola.channels.bluesky.sender import account

        pds, fresh, cursor = account(15.0), [], ""
        known, _, looked = since.partition(" ")
        if time.time() - float(looked or 0) < BETWEEN:
            return [], since
        try:
            await pds.open()
            for _ in range(MOST_PAGES):
                asked = {"limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
                page = await pds.read("/xrpc/app.bsky.notification.listNotifications", params=asked)
                shown = listed(page.get("notifications"))
                new = [one for one in shown if str(one.get("indexedAt", "")) > known]
                fresh += new
                cursor = str(page.get("cursor") or "")
                if len(new) < len(shown) or not cursor or not known:
                    break
        finally:
            await pds.close()
        now = int(time.time())
        if not fresh:
            return [], f"{known} {now}"
        newest = max(str(one["indexedAt"]) for one in fresh)
        return [Body(f"notifications:{newest}", orjson.dumps({"notifications": fresh[::-1]}))], f"{newest} {now}"

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        return each(listed(json_of(body).get("notifications")), lambda one: _happening(mapping(one)))


def _happening(one: dict[str, Any]) -> Happening | None:
    kind, uri = KINDS.get(text(one.get("reason"))), text(one.get("uri"))
    handle = text(part(one, "author", "handle"))
    if kind is None:
        return None
    if not handle or not uri:
        raise ValueError("a notification without author or address")
    words = str(part(one, "record", "text") or "").replace("\x00", "")[:8_000]
    root = text(part(one, "record", "reply", "root", "uri")) or uri
    said = Said(words, name=uri, thread=root) if kind in ("mentioned", "replied") else None
    return Happening(
        kind=kind,
        id=uri[:250],
        at=at(one.get("indexedAt")),
        addresses={"bluesky": handle},
        medium="bluesky",
        said=said,
        properties={"post": text(one.get("reasonSubject"))} if said is None else {},
    )
