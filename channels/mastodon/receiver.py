"""What is said to us on Mastodon: mentions in public and in private, favourites and boosts, since the last one we know."""

from asyncio import to_thread
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from passaparola.channel.receiver import Body, Happening, Heard, Poll, Said, each
from passaparola.channel.signed_webhook import at, json_of, listed, mapping, part, text

KINDS = {"mention": "mentioned", "favourite": "liked", "reblog": "shared"}
PAGE, MOST_PAGES = 40, 10


class MastodonEar(Poll):
    name = "mastodon"

    async def look(self, since: str) -> tuple[Sequence[Body], str]:
        return await to_thread(_look, since)

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        told = json_of(body)
        host = text(told.get("host"))
        return each(listed(told.get("notifications")), lambda one: _happening(mapping(one), host))


def _look(since: str) -> tuple[Sequence[Body], str]:
    from passaparola.channels.mastodon.sender import answered, client

    api, bodies, mark = client(15.0), [], since
    host = urlsplit(api.api_base_url).hostname or ""
    for _ in range(MOST_PAGES):  # `min_id` goes forward from what we know; the first time, from the newest page
        with answered(api):
            asked = {"min_id": mark} if mark else {}
            page = api.notifications(types=list(KINDS), limit=PAGE, **asked)
        if not page:
            break
        mark = str(max(int(one.id) for one in page))
        bodies.append(
            Body(f"notifications:{mark}", orjson.dumps({"host": host, "notifications": list(page)}, default=str))
        )
        if not since or len(page) < PAGE:
            break
    return bodies, mark


def _happening(one: dict[str, Any], host: str) -> Happening | None:
    from inscriptis import get_text

    kind, status = KINDS.get(text(one.get("type"))), mapping(one.get("status"))
    handle = text(part(one, "account", "acct"))
    if kind is None or not status or not handle:
        return None
    whole = handle if "@" in handle else f"{handle}@{host}"
    private = status.get("visibility") == "direct"
    said, about = None, dict[str, Any](private=True) if private else {}
    if kind == "mentioned":
        id_, replied = text(status.get("id")), text(status.get("in_reply_to_id"))
        words = get_text(f"<html><body>{status.get('content') or ''}</body></html>").strip().replace("\x00", "")[:8_000]
        said = Said(words, name=id_, thread=f"direct:{handle}" if private else replied or id_)
        kind = "replied" if private or replied else "mentioned"
    else:
        about = {"post": text(status.get("id"))}
    return Happening(
        kind=kind, id=f"notification:{text(one.get('id'))}", at=at(one.get("created_at")), addresses={"mastodon": whole},
        medium="mastodon", properties=about, said=said,
    )  # fmt: skip
