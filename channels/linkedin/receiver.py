"""What is said under the posts of a LinkedIn page: comments, fetched since the last one that we know.

https://learn.microsoft.com/linkedin/marketing/community-management/shares/comments-api
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from passaparola.channel.receiver import Body, Happening, Heard, Poll, Said, each
from passaparola.channel.signed_webhook import at, json_of, listed, mapping, part, text
from passaparola.errors import Refused

POSTS, COMMENTS = 20, 100
OVERLAP = 10 * 60 * 1000  # milliseconds
BETWEEN = 15 * 60  # seconds; a look is a call for each of the newest posts, and a day has a limit of calls


class LinkedinEar(Poll):
    name = "linkedin"

    async def look(self, since: str) -> tuple[Sequence[Body], str]:
        from passaparola.channels.linkedin.sender import account, own_posts

        page, api = account(15.0)
        last, _, looked = since.partition(" ")
        known, newest, bodies = int(last or 0), int(last or 0), []
        if time.time() - float(looked or 0) < BETWEEN:
            return [], since
        try:
            for post in listed((await api.read(f"/rest/posts?{own_posts(page, POSTS)}")).get("elements")):
                urn = str(mapping(post).get("id", ""))
                try:
                    found = await api.read(f"/rest/socialActions/{quote(urn, safe='')}/comments?count={COMMENTS}")
                except Refused:
                    continue  # one post that can't be asked stops no other
                # What came while another post was read is older than the newest; told twice it is the same.
                fresh = [one for one in listed(found.get("elements")) if _time(mapping(one)) > known - OVERLAP]
                if fresh:
                    latest = max(_time(one) for one in fresh)
                    newest = max(newest, latest)
                    bodies.append(
                        Body(f"comments:{urn}:{latest}", orjson.dumps({"post": urn, "page": page, "comments": fresh}))
                    )
        finally:
            await api.close()
        return bodies, f"{newest} {int(time.time())}"

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        told = json_of(body)
        post, page = text(told.get("post")), text(told.get("page"))
        return each(listed(told.get("comments")), lambda one: _comment(mapping(one), post, page))


def _time(comment: dict[str, Any]) -> int:
    found = part(comment, "created", "time")
    return found if isinstance(found, int) else 0


def _comment(one: dict[str, Any], post: str, page: str) -> Happening | None:
    author = text(one.get("actor"))
    if author == page:
        return None
    urn = (
        text(one.get("commentUrn") or one.get("$URN"))
        or f"urn:li:comment:({text(one.get('object'))},{text(one.get('id'))})"
    )
    words = str(part(one, "message", "text") or "").replace("\x00", "")[:8_000]
    if not author or not words:
        raise ValueError("a comment without author or words")
    return Happening(
        kind="replied", id=f"comment:{urn}"[:250], at=at(_time(one) / 1000), addresses={"linkedin": author.removeprefix("urn:li:")},
        medium="linkedin", said=Said(words, name=urn, thread=post),
    )  # fmt: skip
