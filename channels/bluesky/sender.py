"""Bluesky, through the AT Protocol: a post under a key of our own, so that posting it again is posting it once.

Six calls over plain HTTP rather than the `atproto` library: that costs three seconds and 65 MB to import, and one
class of its errors stands both for a connection that never was and for an answer that was lost.
https://docs.bsky.app/docs/advanced-guides/posts and https://atproto.com/specs/record-key
"""

import hashlib
from datetime import UTC, datetime
from typing import Any

import regex
from pydantic import SecretStr

from passaparola.channel import posts
from passaparola.channel.http import HttpApi, HttpReply, NotFound, resume_hint
from passaparola.channel.sender import Branding, Dispatch, Evidence, Media, Skeleton
from passaparola.errors import Blocked, ChannelError, Misconfigured, Refused, Unavailable
from passaparola.failpoints import failpoint
from passaparola.settings import FromEnvironment

COLLECTION = "app.bsky.feed.post"
MAX_TEXT_BYTES = 3_000
SORTABLE = "234567abcdefghijklmnopqrstuvwxyz"


def graphemes(text: str) -> int:
    return len(regex.findall(r"\X", text))


class BlueskySettings(FromEnvironment):
    bluesky_handle: str = ""
    bluesky_app_password: SecretStr = SecretStr("")
    bluesky_url: str = "https://bsky.social"


class BlueskySender(posts.PostSender):
    name = "bluesky"
    medium = "bluesky"
    limits = posts.PostLimits(300, 4, 2_000_000, (".png", ".jpg", ".jpeg", ".webp"), graphemes)
    branding = Branding("Bluesky", "#0085ff", share="https://bsky.app/intent/compose?text={text}%20{url}")

    def __init__(self) -> None:
        self.pds = open_account(self.timeout / 4)

    @classmethod
    def problems(cls, skeleton: Skeleton) -> list[str]:
        problems = super().problems(skeleton)
        if (size := len(posts.skeleton_text(skeleton).encode())) > MAX_TEXT_BYTES:
            problems.append(f"{size} bytes; Bluesky takes {MAX_TEXT_BYTES}")
        return problems

    async def publish(self, text: str, dispatch: Dispatch) -> str:
        await self.pds.open()
        images = [await self._upload_picture(media) for media in dispatch.skeleton.media]
        embed = {"embed": {"$type": "app.bsky.embed.images", "images": images}} if images else {}
        return await self._put_record(text, dispatch, embed)

    async def reply(self, to: str, text: str, dispatch: Dispatch) -> str:
        await self.pds.open()
        return await self._put_record(text, dispatch, {"reply": await self._reply_refs(to)}, personal=True)

    async def _put_record(self, text: str, dispatch: Dispatch, more: dict[str, Any], *, personal: bool = False) -> str:
        created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        record: dict[str, Any] = {"$type": COLLECTION, "text": text, "createdAt": created, **more}
        if facets := find_facets(text):
            record["facets"] = facets
        failpoint("half_written")
        body = {"repo": self.pds.did, "collection": COLLECTION, "rkey": record_key(dispatch), "record": record}
        made = await self.pds.call("POST", "/xrpc/com.atproto.repo.putRecord", personal=personal, json=body)
        return str(made.body.get("uri", ""))

    async def _upload_picture(self, media: Media) -> dict[str, Any]:
        _, body, kind = posts.load_picture(media)
        path = "/xrpc/com.atproto.repo.uploadBlob"
        made = await self.pds.call("POST", path, changes=False, data=body, headers={"Content-Type": kind})
        return {"alt": media.alt, "image": made.body["blob"]}

    async def _reply_refs(self, uri: str) -> dict[str, Any]:
        """Return the post that is answered and the first of its thread, each by address and hash."""
        posts_ = (await self.pds.read("/xrpc/app.bsky.feed.getPosts", params={"uris": uri})).get("posts") or []
        if not posts_:
            raise Refused("Bluesky: the post that is answered is not there any more")
        parent = {"uri": posts_[0]["uri"], "cid": posts_[0]["cid"]}
        return {"parent": parent, "root": (posts_[0].get("record") or {}).get("reply", {}).get("root", parent)}

    async def look_up(self, dispatch: Dispatch) -> Evidence:
        message = dispatch.messages[0]
        await self.pds.open()
        uri = f"at://{self.pds.did}/{COLLECTION}/{record_key(dispatch)}"
        return Evidence({message.id: uri}) if await self.read_back(uri) else Evidence(absent=frozenset([message.id]))

    async def read_back(self, receipt: str) -> bool:
        await self.pds.open()
        repo, collection, key = receipt.removeprefix("at://").split("/")
        params = {"repo": repo, "collection": collection, "rkey": key}
        try:
            record = await self.pds.read("/xrpc/com.atproto.repo.getRecord", params=params)
        except NotFound:
            return False
        return record.get("uri") == receipt

    @classmethod
    def post_url(cls, receipt: str) -> str:
        repo, _, key = receipt.removeprefix("at://").split("/")
        return f"https://bsky.app/profile/{repo}/post/{key}"

    async def close(self) -> None:
        await self.pds.close()


def open_account(timeout: float) -> "PdsApi":
    """Open a session with the account's server. Raises Misconfigured."""
    settings = BlueskySettings()
    password = settings.bluesky_app_password.get_secret_value()
    if not settings.bluesky_handle or not password:
        raise Misconfigured("Bluesky needs PASSAPAROLA_BLUESKY_HANDLE and PASSAPAROLA_BLUESKY_APP_PASSWORD")
    return PdsApi(settings.bluesky_url, timeout, settings.bluesky_handle, password)


class PdsApi(HttpApi):
    """The server that keeps our account, and forwards requests for others to them."""

    def __init__(self, url: str, timeout: float, handle: str, password: str) -> None:
        super().__init__("bluesky", "Bluesky", url, timeout)
        self.handle, self.password, self.did = handle, password, ""

    async def open(self) -> None:
        if self.did:
            return
        credentials = {"identifier": self.handle, "password": self.password}
        made = (await self.call("POST", "/xrpc/com.atproto.server.createSession", changes=False, json=credentials)).body
        self._session().headers["Authorization"] = f"Bearer {made.get('accessJwt')}"
        self.did = str(made.get("did"))

    def interpret(self, reply: HttpReply, failure: type[ChannelError]) -> ChannelError | None:
        error = reply.body.get("error")
        if error == "RecordNotFound":
            return NotFound(f"Bluesky: {self.reason(reply)}")
        if error == "ExpiredToken":
            self.did = ""
            self._session().headers.pop("Authorization", None)
            return Unavailable("Bluesky's session ended", after=1.0)
        if error in ("AccountTakedown", "AccountDeactivated"):
            return Blocked(f"Bluesky: {self.reason(reply)}; {resume_hint('bluesky')}")
        return None


def record_key(dispatch: Dispatch) -> str:
    """Return a record key (TID) that is the same each time this message is tried: the launch's time, and what tells
    messages apart."""
    mark = int.from_bytes(hashlib.sha256(dispatch.messages[0].id.encode()).digest()[:8], "big")
    number = ((int(dispatch.since.timestamp() * 1_000_000) + mark % 1_000_000) << 10) | (mark >> 20) % 1024
    return "".join(SORTABLE[number >> shift & 31] for shift in range(60, -1, -5))


def find_facets(text: str) -> list[dict[str, Any]]:
    """Find links and tags with their places in bytes. https://docs.bsky.app/docs/advanced-guides/post-richtext"""
    kinds = [
        *((match, {"$type": "app.bsky.richtext.facet#link", "uri": match[0]}) for match in posts.URL.finditer(text)),
        *((match, {"$type": "app.bsky.richtext.facet#tag", "tag": match[1]}) for match in posts.TAG.finditer(text)),
    ]
    return [
        {
            "index": {"byteStart": _bytes(text, match.start()), "byteEnd": _bytes(text, match.end())},
            "features": [feature],
        }
        for match, feature in kinds
    ]


def _bytes(text: str, place: int) -> int:
    return len(text[:place].encode())
