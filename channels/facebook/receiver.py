"""What is said on a Facebook page: comments, mentions, messages and reactions, told by webhook.

Signed with the app's secret over the raw bytes. https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from passaparola.channel.receiver import InboundEvent, InboundText, ParseResult, Webhook, parse_each
from passaparola.channel.signed_webhook import (
    as_list,
    as_mapping,
    body_digest,
    clean_text,
    parse_instant,
    parse_json,
    parse_mime_part,
    signature_from_hex,
    split_secrets,
    verify_signature,
)
from passaparola.errors import Forged, Misconfigured
from passaparola.settings import FromEnvironment

KINDS = {
    "comment": "replied",
    "post": "mentioned",
    "status": "mentioned",
    "reaction": "liked",
    "share": "shared",
    "mention": "mentioned",
}


class ReceiverSettings(FromEnvironment):
    facebook_app_secret: SecretStr = SecretStr("")
    facebook_verify_token: SecretStr = SecretStr("")


class FacebookReceiver(Webhook):
    name = "facebook"

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = split_secrets(ReceiverSettings().facebook_app_secret.get_secret_value(), "FACEBOOK_APP_SECRET")
        algorithm, _, signature = headers.get("x-hub-signature-256", "").partition("=")
        if algorithm != "sha256":
            raise Forged("The signature is not one.")
        verify_signature(body, [signature_from_hex(signature)], secrets)
        return body_digest(body)

    @classmethod
    def challenge(cls, question: Mapping[str, str]) -> str | None:
        wanted = ReceiverSettings().facebook_verify_token.get_secret_value()
        if not wanted:
            raise Misconfigured("Set PASSAPAROLA_FACEBOOK_VERIFY_TOKEN to what you typed into the app's dashboard.")
        given = question.get("hub.verify_token", "")
        is_subscription = question.get("hub.mode") == "subscribe" and hmac.compare_digest(
            given.encode(), wanted.encode()
        )
        return question.get("hub.challenge", "")[:200] if is_subscription else None

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        payload = parse_json(body)
        if payload.get("object") != "page":
            return ParseResult()
        items = [item for entry in as_list(payload.get("entry")) for item in _feed_items(as_mapping(entry))]
        return parse_each(items, lambda item: item[0](item[1], item[2]))


def _feed_items(entry: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any], str]]:
    """List the items of an entry, each with its parser and its page."""
    page = clean_text(entry.get("id"))
    for change in as_list(entry.get("changes")):
        if as_mapping(change).get("field") in ("feed", "mention"):
            yield _parse_feed_change, as_mapping(as_mapping(change).get("value")), page
    for message in as_list(entry.get("messaging")):
        yield _parse_message, as_mapping(message), page


def _parse_feed_change(value: dict[str, Any], page: str) -> InboundEvent | None:
    item, author = clean_text(value.get("item")), clean_text(parse_mime_part(value, "from", "id"))
    kind = KINDS.get(item)
    if kind is None or author in ("", page) or value.get("verb") not in ("add", None):
        return None  # what the page itself does, what is hidden, edited or taken back
    id_ = clean_text(value.get("comment_id") or value.get("post_id"))
    if not id_:
        raise ValueError("a happening on the page without an id")
    words = str(value.get("message") or "").replace("\x00", "")[:8_000]
    text = (
        InboundText(words, external_id=id_, thread=clean_text(value.get("post_id")) or id_)
        if words and kind in ("replied", "mentioned")
        else None
    )
    about = {
        "display_name": clean_text(parse_mime_part(value, "from", "name")),
        "post": clean_text(value.get("post_id")),
    }
    return InboundEvent(
        kind=kind,
        id=f"{item}:{id_}:{author if text is None else ''}",
        at=parse_instant(value.get("created_time")),
        addresses={"facebook": author},
        medium="facebook",
        properties=about,
        text=text,
    )


def _parse_message(event: dict[str, Any], page: str) -> InboundEvent | None:
    sender, message = clean_text(parse_mime_part(event, "sender", "id")), as_mapping(event.get("message"))
    if sender in ("", page) or not message or message.get("is_echo"):
        return None
    id_, words = clean_text(message.get("mid")), str(message.get("text") or "").replace("\x00", "")[:8_000]
    if not id_:
        raise ValueError("a message without an id")
    stamp = event.get("timestamp")
    when = parse_instant(stamp / 1000 if isinstance(stamp, int | float) else stamp)
    return InboundEvent(
        kind="replied",
        id=f"message:{id_}",
        at=when,
        addresses={"facebook": sender},
        medium="facebook",
        properties={"private": True},
        text=InboundText(words, external_id=id_, thread=f"direct:{sender}"),
    )
