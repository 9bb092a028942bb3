"""What is said to us on X: mentions, replies and direct messages, by webhook or fetched since the last one we know.

Webhooks: https://docs.x.com/x-api/webhooks/introduction, signed with the consumer secret. Fetching our own
mentions is an owned read ($0.001 each); direct messages may be fetched 15 times in 15 minutes.
"""

import base64
import hmac
from asyncio import to_thread
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import SecretStr

from passaparola.channel.receiver import InboundEvent, InboundText, ParseResult, Poll, RawPayload, Webhook, parse_each
from passaparola.channel.signed_webhook import (
    as_list,
    as_mapping,
    body_digest,
    clean_text,
    parse_instant,
    parse_json,
    parse_mime_part,
    signature_from_base64,
    split_secrets,
    verify_signature,
)
from passaparola.errors import Forged
from passaparola.settings import FromEnvironment

SIGNATURE = "x-twitter-webhooks-signature"
MAX_PAGES = 10
FIELDS = ["created_at", "author_id", "conversation_id", "in_reply_to_user_id"]


class ReceiverSettings(FromEnvironment):
    twitter_consumer_secret: SecretStr = SecretStr("")


class TwitterReceiver(Webhook, Poll):
    name = "twitter"

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = split_secrets(
            ReceiverSettings().twitter_consumer_secret.get_secret_value(), "TWITTER_CONSUMER_SECRET"
        )
        algorithm, _, signature = headers.get(SIGNATURE, "").partition("=")
        if algorithm != "sha256":
            raise Forged("The signature is not one.")
        verify_signature(body, [signature_from_base64(signature)], secrets)
        return body_digest(body)

    @classmethod
    def challenge(cls, question: Mapping[str, str]) -> str | None:
        """Answer the challenge that X sends every hour, by GET:
        https://docs.x.com/x-api/webhooks/introduction#challenge-response-checks"""
        if not (token := question.get("crc_token")):
            return None
        secret = split_secrets(
            ReceiverSettings().twitter_consumer_secret.get_secret_value(), "TWITTER_CONSUMER_SECRET"
        )[0]
        digest = base64.b64encode(hmac.digest(secret.encode(), token.encode(), "sha256")).decode()
        return orjson.dumps({"response_token": f"sha256={digest}"}).decode()

    async def poll(self, since: str) -> tuple[Sequence[RawPayload], str]:
        return await to_thread(_fetch, since)

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        payload = parse_json(body)
        ways = {
            "data": _parse_fetched_post,
            "tweet_create_events": _parse_webhook_post,
            "direct_message_events": _parse_direct_message,
        }
        items = [(parse, as_mapping(item)) for name, parse in ways.items() for item in as_list(payload.get(name))]
        return parse_each(items, lambda item: item[0](item[1], payload))


def _fetch(since: str) -> tuple[Sequence[RawPayload], str]:
    """Fetch a page of mentions and one of direct messages, each with our own id beside them."""
    from passaparola.channels.twitter.sender import TwitterSender, open_account

    mark = orjson.loads(since) if since else {}
    x = open_account(TwitterSender())
    me = x.me()
    bodies = []
    for page in _pages(lambda token: _read_mentions(x, me, mark.get("mention"), token)):
        newest = max(int(post["id"]) for post in page["data"])
        bodies.append(RawPayload(f"mentions:{newest}", orjson.dumps(page | {"for_user_id": me})))
    known = int(mark.get("direct") or 0)
    for page in _pages(lambda token: _read_direct_messages(x, token)):
        fresh = [message for message in page["data"] if int(message["id"]) > known]
        if not fresh:
            break
        payload = {"for_user_id": me, "direct_message_events": fresh, "includes": page.get("includes", {})}
        bodies.append(RawPayload(f"direct:{max(int(message['id']) for message in fresh)}", orjson.dumps(payload)))
    for name, kind in (("mention", "mentions"), ("direct", "direct")):
        newest_of = [int(body.key.partition(":")[2]) for body in bodies if body.key.startswith(f"{kind}:")]
        if newest_of:
            mark[name] = str(max(newest_of))
    return bodies, orjson.dumps(mark).decode()


def _read_mentions(x: Any, me: str, since_id: str | None, token: str | None) -> dict[str, Any]:
    page: dict[str, Any] = x.read(
        lambda client: client.get_users_mentions(
            me,
            since_id=since_id,
            max_results=100,
            expansions=["author_id"],
            tweet_fields=FIELDS,
            user_fields=["username"],
            pagination_token=token,
            user_auth=True,
        )
    )
    return page


def _read_direct_messages(x: Any, token: str | None) -> dict[str, Any]:
    page: dict[str, Any] = x.read(
        lambda client: client.get_direct_message_events(
            event_types="MessageCreate",
            max_results=100,
            expansions=["sender_id"],
            user_fields=["username"],
            dm_event_fields=["created_at", "dm_conversation_id", "sender_id", "text"],
            pagination_token=token,
            user_auth=True,
        )
    )
    return page


def _pages(fetch: Callable[[str | None], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Read pages, newest first, until there are no more, or as many as we take at most."""
    token = None
    for _ in range(MAX_PAGES):
        page = fetch(token)
        if page.get("data"):
            yield page
        token = (page.get("meta") or {}).get("next_token")
        if not token:
            return


def _parse_fetched_post(post: dict[str, Any], page: dict[str, Any]) -> InboundEvent | None:
    author = clean_text(post.get("author_id"))
    us = clean_text(page.get("for_user_id"))
    if author == us:
        return None
    users = parse_mime_part(page, "includes", "users")
    handle = next(
        (clean_text(u.get("username")) for u in users or [] if clean_text(as_mapping(u).get("id")) == author), ""
    )
    answered = clean_text(post.get("in_reply_to_user_id")) == us != ""
    return _post_event(
        post, handle, parse_instant(post.get("created_at")), clean_text(post.get("conversation_id")), answered
    )


def _parse_webhook_post(post: dict[str, Any], page: dict[str, Any]) -> InboundEvent | None:
    author, us = as_mapping(post.get("user")), clean_text(page.get("for_user_id"))
    if clean_text(author.get("id_str")) == us or "retweeted_status" in post:
        return None
    post = {
        "id": post.get("id_str"),
        "text": parse_mime_part(post, "extended_tweet", "full_text") or post.get("text"),
        **post,
    }
    answered = clean_text(post.get("in_reply_to_user_id_str")) == us != ""
    thread = clean_text(post.get("conversation_id_str") or post.get("in_reply_to_status_id_str") or post.get("id_str"))
    when = int(clean_text(post.get("timestamp_ms")) or 0) / 1000
    return _post_event(
        post | {"id": clean_text(post.get("id_str"))},
        clean_text(author.get("screen_name")),
        parse_instant(when),
        thread,
        answered,
    )


def _post_event(post: dict[str, Any], handle: str, when: datetime, thread: str, answered: bool) -> InboundEvent:
    id_ = clean_text(post.get("id"))
    if not handle or not id_:
        raise ValueError("a post without author or id")
    text = str(post.get("text") or "").replace("\x00", "")[:5_000]
    return InboundEvent(
        kind="replied" if answered else "mentioned",
        id=f"post:{id_}",
        at=when,
        addresses={"twitter": handle},
        medium="twitter",
        text=InboundText(text, external_id=id_, thread=thread or id_),
    )


def _parse_direct_message(event: dict[str, Any], page: dict[str, Any]) -> InboundEvent | None:
    """Parse a direct message, as told by a webhook (message_create) or as fetched (sender_id, text)."""
    us, made = clean_text(page.get("for_user_id")), as_mapping(event.get("message_create"))
    sender = clean_text(made.get("sender_id") or event.get("sender_id"))
    if sender == us:
        return None
    users = {
        clean_text(as_mapping(u).get("id")): clean_text(as_mapping(u).get("username"))
        for u in parse_mime_part(page, "includes", "users") or []
    }
    handle = users.get(sender) or clean_text(parse_mime_part(as_mapping(page.get("users")), sender, "screen_name"))
    text = str(parse_mime_part(made, "message_data", "text") or event.get("text") or "").replace("\x00", "")[:10_000]
    stamp = clean_text(event.get("created_timestamp"))
    when = (
        datetime.fromtimestamp(int(stamp) / 1000, tz=UTC) if stamp.isdigit() else parse_instant(event.get("created_at"))
    )
    if not handle:
        raise ValueError("a direct message without a sender")
    id_ = clean_text(event.get("id"))
    thread = clean_text(event.get("dm_conversation_id")) or "-".join(sorted([us, sender]))
    return InboundEvent(
        kind="replied",
        id=f"direct:{id_}",
        at=when,
        addresses={"twitter": handle},
        medium="twitter",
        properties={"private": True},
        text=InboundText(text, external_id=id_, thread=f"direct:{thread}"),
    )
