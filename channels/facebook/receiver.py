"""What is said on a Facebook page: comments, mentions, messages and reactions, told by webhook.

Signed with the app's secret over the raw bytes. https://developers.facebook.com/docs/graph-api/webhooks/getting-started
"""

import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from passaparola.channel.receiver import Happening, Heard, Said, Webhook, each
from passaparola.channel.signed_webhook import (
    at,
    believe,
    from_hex,
    json_of,
    listed,
    mapping,
    part,
    print_of,
    secrets_of,
    text,
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


class EarSettings(FromEnvironment):
    facebook_app_secret: SecretStr = SecretStr("")
    facebook_verify_token: SecretStr = SecretStr("")


class FacebookEar(Webhook):
    name = "facebook"

    def delivery(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        secrets = secrets_of(EarSettings().facebook_app_secret.get_secret_value(), "FACEBOOK_APP_SECRET")
        way, _, signature = headers.get("x-hub-signature-256", "").partition("=")
        if way != "sha256":
            raise Forged("The signature is not one.")
        believe(body, [from_hex(signature)], secrets)
        return print_of(body)

    @classmethod
    def challenge(cls, question: Mapping[str, str]) -> str | None:
        wanted = EarSettings().facebook_verify_token.get_secret_value()
        if not wanted:
            raise Misconfigured("Set PASSAPAROLA_FACEBOOK_VERIFY_TOKEN to what you typed into the app's dashboard.")
        given = question.get("hub.verify_token", "")
        asked = question.get("hub.mode") == "subscribe" and hmac.compare_digest(given.encode(), wanted.encode())
        return question.get("hub.challenge", "")[:200] if asked else None

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        told = json_of(body)
        if told.get("object") != "page":
            return Heard()
        items = [item for entry in listed(told.get("entry")) for item in _items(mapping(entry))]
        return each(items, lambda item: item[0](item[1], item[2]))


def _items(entry: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any], str]]:
    """What to read by, what is to be read, and on which page."""
    page = text(entry.get("id"))
    for change in listed(entry.get("changes")):
        if mapping(change).get("field") in ("feed", "mention"):
            yield _of_the_feed, mapping(mapping(change).get("value")), page
    for message in listed(entry.get("messaging")):
        yield _message, mapping(message), page


def _of_the_feed(value: dict[str, Any], page: str) -> Happening | None:
    item, author = text(value.get("item")), text(part(value, "from", "id"))
    kind = KINDS.get(item)
    if kind is None or author in ("", page) or value.get("verb") not in ("add", None):
        return None  # what the page itself does, what is hidden, edited or taken back
    id_ = text(value.get("comment_id") or value.get("post_id"))
    if not id_:
        raise ValueError("a happening on the page without an id")
    words = str(value.get("message") or "").replace("\x00", "")[:8_000]
    said = (
        Said(words, name=id_, thread=text(value.get("post_id")) or id_)
        if words and kind in ("replied", "mentioned")
        else None
    )
    about = {"display_name": text(part(value, "from", "name")), "post": text(value.get("post_id"))}
    return Happening(
        kind=kind, id=f"{item}:{id_}:{author if said is None else ''}", at=at(value.get("created_time")),
        addresses={"facebook": author}, medium="facebook", properties=about, said=said,
    )  # fmt: skip


def _message(event: dict[str, Any], page: str) -> Happening | None:
    sender, message = text(part(event, "sender", "id")), mapping(event.get("message"))
    if sender in ("", page) or not message or message.get("is_echo"):
        return None
    id_, words = text(message.get("mid")), str(message.get("text") or "").replace("\x00", "")[:8_000]
    if not id_:
        raise ValueError("a message without an id")
    stamp = event.get("timestamp")
    when = at(stamp / 1000 if isinstance(stamp, int | float) else stamp)
    return Happening(
        kind="replied", id=f"message:{id_}", at=when, addresses={"facebook": sender}, medium="facebook",
        properties={"private": True}, said=Said(words, name=id_, thread=f"direct:{sender}"),
    )  # fmt: skip
