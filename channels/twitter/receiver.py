"""What is said to us on X: mentions, replies and direct messages, by webhook or fetched since the last one we know.

Webhooks: https://docs.x.com/x-api/webhooks/introduction, signed with the consumer secret. Fetching our own mentions is an
owned read ($0.001 each); direct messages may be fetched 15 times in 15 minutes.
"""

import base64
import hmac
from asyncio import to_thread
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import SecretStr

from passaparola.channel.receiver import Body, Happening, Heard, Poll, Said, Webhook, each
from passaparola.channel.signed_webhook import (
    at,
    believe,
    from_base64,
    json_of,
    listed,
    mapping,
    part,
    print_of,
    secrets_of,
    text,
)
from passaparola.errors import Forged
from passaparola.settings import FromEnvironment

SIGNATURE = "x-twitter-webhooks-signature"
MOST_PAGES = 10
FIELDS = ["created_at", "author_id", "conversation_id", "in_reply_to_user_id"]


class EarSettings(FromEnvironment):
    twitter_consumer_secret: SecretStr = SecretStr("")


class TwitterEar(Webhook, Poll):
    name = "twitter"

    def delivery(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = secrets_of(EarSettings().twitter_consumer_secret.get_secret_value(), "TWITTER_CONSUMER_SECRET")
        way, _, signature = headers.get(SIGNATURE, "").partition("=")
        if way != "sha256":
            raise Forged("The signature is not one.")
        believe(body, [from_base64(signature)], secrets)
        return print_of(body)

    @classmethod
    def challenge(cls, question: Mapping[str, str]) -> str | None:
        """X asks every hour, by GET: https://docs.x.com/x-api/webhooks/introduction#challenge-response-checks"""
        if not (token := question.get("crc_token")):
            return None
        secret = secrets_of(EarSettings().twitter_consumer_secret.get_secret_value(), "TWITTER_CONSUMER_SECRET")[0]
        digest = base64.b64encode(hmac.digest(secret.encode(), token.encode(), "sha256")).decode()
        return orjson.dumps({"response_token": f"sha256={digest}"}).decode()

    async def look(self, since: str) -> tuple[Sequence[Body], str]:
        return await to_thread(_fetched, since)

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        said = json_of(body)
        ways = {"data": _fetched_post, "tweet_create_events": _told_post, "direct_message_events": _direct}
        items = [(read, mapping(item)) for name, read in ways.items() for item in listed(said.get(name))]
        return each(items, lambda item: item[0](item[1], said))


def _fetched(since: str) -> tuple[Sequence[Body], str]:
    """A page of mentions and one of direct messages, each with our own id beside them."""
    from passaparola.channels.twitter.sender import Twitter, account

    mark = orjson.loads(since) if since else {}
    x = account(Twitter())
    me = x.me()
    bodies = []
    for page in _pages(
        lambda token: x.read(
            lambda client: client.get_users_mentions(
                me, since_id=mark.get("mention"), max_results=100, expansions=["author_id"], tweet_fields=FIELDS,
                user_fields=["username"], pagination_token=token, user_auth=True,
            )
        )
    ):  # fmt: skip
        newest = max(int(post["id"]) for post in page["data"])
        bodies.append(Body(f"mentions:{newest}", orjson.dumps(page | {"for_user_id": me})))
    known = int(mark.get("direct") or 0)
    for page in _pages(
        lambda token: x.read(
            lambda client: client.get_direct_message_events(
                event_types="MessageCreate", max_results=100, expansions=["sender_id"], user_fields=["username"],
                dm_event_fields=["created_at", "dm_conversation_id", "sender_id", "text"], pagination_token=token, user_auth=True,
            )
        )
    ):  # fmt: skip
        fresh = [one for one in page["data"] if int(one["id"]) > known]
        if not fresh:
            break
        told = {"for_user_id": me, "direct_message_events": fresh, "includes": page.get("includes", {})}
        bodies.append(Body(f"direct:{max(int(one['id']) for one in fresh)}", orjson.dumps(told)))
    for name, kind in (("mention", "mentions"), ("direct", "direct")):
        newest_of = [int(body.key.partition(":")[2]) for body in bodies if body.key.startswith(f"{kind}:")]
        if newest_of:
            mark[name] = str(max(newest_of))
    return bodies, orjson.dumps(mark).decode()


def _pages(read: Callable[[str | None], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Newest first, until there are no more; what is older than the most pages was missed for too long."""
    token = None
    for _ in range(MOST_PAGES):
        page = read(token)
        if page.get("data"):
            yield page
        token = (page.get("meta") or {}).get("next_token")
        if not token:
            return


def _fetched_post(post: dict[str, Any], page: dict[str, Any]) -> Happening | None:
    author = text(post.get("author_id"))
    us = text(page.get("for_user_id"))
    if author == us:
        return None
    users = part(page, "includes", "users")
    handle = next((text(u.get("username")) for u in users or [] if text(mapping(u).get("id")) == author), "")
    answered = text(post.get("in_reply_to_user_id")) == us != ""
    return _spoken(post, handle, at(post.get("created_at")), text(post.get("conversation_id")), answered)


def _told_post(post: dict[str, Any], page: dict[str, Any]) -> Happening | None:
    author, us = mapping(post.get("user")), text(page.get("for_user_id"))
    if text(author.get("id_str")) == us or "retweeted_status" in post:
        return None
    post = {"id": post.get("id_str"), "text": part(post, "extended_tweet", "full_text") or post.get("text"), **post}
    answered = text(post.get("in_reply_to_user_id_str")) == us != ""
    thread = text(post.get("conversation_id_str") or post.get("in_reply_to_status_id_str") or post.get("id_str"))
    when = int(text(post.get("timestamp_ms")) or 0) / 1000
    return _spoken(post | {"id": text(post.get("id_str"))}, text(author.get("screen_name")), at(when), thread, answered)


def _spoken(post: dict[str, Any], handle: str, when: datetime, thread: str, answered: bool) -> Happening:
    id_ = text(post.get("id"))
    if not handle or not id_:
        raise ValueError("a post without author or id")
    said = str(post.get("text") or "").replace("\x00", "")[:5_000]
    return Happening(
        kind="replied" if answered else "mentioned", id=f"post:{id_}", at=when, addresses={"twitter": handle},
        medium="twitter", said=Said(said, name=id_, thread=thread or id_),
    )  # fmt: skip


def _direct(event: dict[str, Any], page: dict[str, Any]) -> Happening | None:
    """As told by a webhook (message_create) or as fetched (sender_id, text)."""
    us, made = text(page.get("for_user_id")), mapping(event.get("message_create"))
    sender = text(made.get("sender_id") or event.get("sender_id"))
    if sender == us:
        return None
    users = {
        text(mapping(u).get("id")): text(mapping(u).get("username")) for u in part(page, "includes", "users") or []
    }
    handle = users.get(sender) or text(part(mapping(page.get("users")), sender, "screen_name"))
    said = str(part(made, "message_data", "text") or event.get("text") or "").replace("\x00", "")[:10_000]
    stamp = text(event.get("created_timestamp"))
    when = datetime.fromtimestamp(int(stamp) / 1000, tz=UTC) if stamp.isdigit() else at(event.get("created_at"))
    if not handle:
        raise ValueError("a direct message without a sender")
    id_ = text(event.get("id"))
    thread = text(event.get("dm_conversation_id")) or "-".join(sorted([us, sender]))
    return Happening(
        kind="replied", id=f"direct:{id_}", at=when, addresses={"twitter": handle}, medium="twitter",
        properties={"private": True}, said=Said(said, name=id_, thread=f"direct:{thread}"),
    )  # fmt: skip
