"""What is said under the posts of a LinkedIn page: comments, fetched since the last one that we know.

https://learn.microsoft.com/linkedin/marketing/community-management/shares/comments-api
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

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
from passaparola.errors import Refused

MAX_POSTS, MAX_COMMENTS = 20, 100
OVERLAP_MS = 10 * 60 * 1000  # milliseconds
POLL_INTERVAL_SECONDS = (
    15 * 60
)  # seconds; a look is a call for each of the newest posts, and a day has a limit of calls


class LinkedinReceiver(Poll):
    name = "linkedin"

    async def poll(self, since: str) -> tuple[Sequence[RawPayload], str]:
        from passaparola.channels.linkedin.sender import open_account, own_posts_path

        page, api = open_account(15.0)
        last, _, polled_at = since.partition(" ")
        known, newest, bodies = int(last or 0), int(last or 0), []
        if time.time() - float(polled_at or 0) < POLL_INTERVAL_SECONDS:
            return [], since
        try:
            for post in as_list((await api.read(f"/rest/posts?{own_posts_path(page, MAX_POSTS)}")).get("elements")):
                urn = str(as_mapping(post).get("id", ""))
                try:
                    response = await api.read(
                        f"/rest/socialActions/{quote(urn, safe='')}/comments?count={MAX_COMMENTS}"
                    )
                except Refused:
                    continue  # one post that can't be asked stops no other
                # What came while another post was read is older than the newest; told twice it is the same.
                fresh = [
                    comment
                    for comment in as_list(response.get("elements"))
                    if _created_at(as_mapping(comment)) > known - OVERLAP_MS
                ]
                if fresh:
                    latest = max(_created_at(comment) for comment in fresh)
                    newest = max(newest, latest)
                    bodies.append(
                        RawPayload(
                            f"comments:{urn}:{latest}", orjson.dumps({"post": urn, "page": page, "comments": fresh})
                        )
                    )
        finally:
            await api.close()
        return bodies, f"{newest} {int(time.time())}"

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        payload = parse_json(body)
        post, page = clean_text(payload.get("post")), clean_text(payload.get("page"))
        return parse_each(
            as_list(payload.get("comments")), lambda comment: _parse_comment(as_mapping(comment), post, page)
        )


def _created_at(comment: dict[str, Any]) -> int:
    created = parse_mime_part(comment, "created", "time")
    return created if isinstance(created, int) else 0


def _parse_comment(comment: dict[str, Any], post: str, page: str) -> InboundEvent | None:
    author = clean_text(comment.get("actor"))
    if author == page:
        return None
    urn = (
        clean_text(comment.get("commentUrn") or comment.get("$URN"))
        or f"urn:li:comment:({clean_text(comment.get('object'))},{clean_text(comment.get('id'))})"
    )
    words = str(parse_mime_part(comment, "message", "text") or "").replace("\x00", "")[:8_000]
    if not author or not words:
        raise ValueError("a comment without author or words")
    return InboundEvent(
        kind="replied",
        id=f"comment:{urn}"[:250],
        at=parse_instant(_created_at(comment) / 1000),
        addresses={"linkedin": author.removeprefix("urn:li:")},
        medium="linkedin",
        text=InboundText(words, external_id=urn, thread=post),
    )
