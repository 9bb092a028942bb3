"""A Facebook page, through the Graph API: a post with link or pictures, answers to comments and messages.

The version is in the address and lives about two years. Facebook has no idempotency key; after a lost answer the page's
own feed tells. Codes: https://developers.facebook.com/docs/graph-api/guides/error-handling
"""

import hmac
from datetime import datetime
from typing import Any

import orjson
from pydantic import SecretStr

from passaparola.channel import posts
from passaparola.channel.http import CredentialsRefused, HttpApi, HttpReply, NotFound, resume_hint, retry_after
from passaparola.channel.sender import Branding, Dispatch, Media
from passaparola.errors import Blocked, ChannelError, Misconfigured, Refused, Slower
from passaparola.failpoints import failpoint
from passaparola.settings import FromEnvironment

PAGE_SIZE, MAX_MESSAGE_CHARS = 100, 2_000
TEMPORARY_ERRORS, RATE_LIMIT_ERRORS, TOKEN_ERRORS, DUPLICATE_ERRORS = {1, 2}, {4, 17, 32, 341, 613}, {102, 190}, {506}
RECIPIENT_ERRORS = {2018278, 2018108, 1545041}  # they wrote too long ago, or take no messages
PERMISSION_ERRORS = {10, 368, *range(200, 300)}


class FacebookSettings(FromEnvironment):
    facebook_page_id: str = ""
    facebook_page_token: SecretStr = SecretStr("")
    facebook_app_secret: SecretStr = SecretStr("")
    facebook_api_url: str = "https://graph.facebook.com"
    facebook_api_version: str = "v26.0"


class FacebookSender(posts.PostSender):
    name = "facebook"
    medium = "facebook"
    limits = posts.PostLimits(63_206, 10, 4 * 1024 * 1024)
    branding = Branding("Facebook", "#1877f2", fold=480, share="https://www.facebook.com/sharer/sharer.php?u={url}")

    def __init__(self) -> None:
        settings = FacebookSettings()
        self.page, token = settings.facebook_page_id, settings.facebook_page_token.get_secret_value()
        if not self.page or not token:
            raise Misconfigured("Facebook needs PASSAPAROLA_FACEBOOK_PAGE_ID and PASSAPAROLA_FACEBOOK_PAGE_TOKEN")
        self.proof = _app_secret_proof(token, settings.facebook_app_secret.get_secret_value())
        url = f"{settings.facebook_api_url.rstrip('/')}/{settings.facebook_api_version}"
        self.graph = _GraphApi(self.name, "Facebook", url, self.timeout / 4, {"Authorization": f"Bearer {token}"})

    async def publish(self, text: str, dispatch: Dispatch) -> str:
        post: dict[str, Any] = {"message": text, **self.proof}
        pictures = [await self._upload_picture(media) for media in dispatch.skeleton.media]
        if pictures:
            post |= {
                f"attached_media[{n}]": orjson.dumps({"media_fbid": id_}).decode() for n, id_ in enumerate(pictures)
            }
        elif link := posts.URL.search(text):
            post["link"] = link[0]
        failpoint("half_written")
        made = await self.graph.call("POST", f"/{self.page}/feed", data=post)
        return str(made.body.get("id", ""))

    async def _upload_picture(self, media: Media) -> str:
        """Upload a picture to the page without showing it; a post that is never made leaves nothing behind."""
        from aiohttp import FormData

        name, body, kind = posts.load_picture(media)
        form = FormData({"published": "false", "alt_text_custom": media.alt, **self.proof})
        form.add_field("source", body, filename=name, content_type=kind)
        made = await self.graph.call("POST", f"/{self.page}/photos", changes=False, data=form)
        return str(made.body.get("id", ""))

    async def reply(self, to: str, text: str, dispatch: Dispatch) -> str:
        if not to.startswith("direct:"):
            comment = {"message": text, **self.proof}
            made = await self.graph.call("POST", f"/{to}/comments", data=comment, personal=True)
            return str(made.body.get("id", ""))
        words = posts.require_length(text, MAX_MESSAGE_CHARS, "Facebook")
        person = {"id": to.removeprefix("direct:")}
        payload = {"recipient": person, "messaging_type": "RESPONSE", "message": {"text": words}}
        made = await self.graph.call("POST", f"/{self.page}/messages", json=payload, params=self.proof, personal=True)
        return str(made.body.get("message_id", ""))

    async def recent(self, since: datetime) -> posts.RecentPosts | None:
        fields, after = "id,message,created_time,from", str(int(since.timestamp()))
        params = {"fields": fields, "limit": str(PAGE_SIZE), "since": after, **self.proof}
        shown = (await self.graph.read(f"/{self.page}/feed", params=params)).get("data")
        if not isinstance(shown, list):
            return None
        own_posts = [post for post in shown if (post.get("from") or {}).get("id", self.page) == self.page]
        # A full page may go on where we do not look.
        return posts.RecentPosts(
            [(str(post["id"]), str(post.get("message", ""))) for post in own_posts], complete=len(shown) < PAGE_SIZE
        )

    async def read_back(self, receipt: str) -> bool:
        try:
            post = await self.graph.read(f"/{receipt}", params={"fields": "id,is_published", **self.proof})
        except NotFound:
            return False
        return post.get("is_published", True) is True

    @classmethod
    def post_url(cls, receipt: str) -> str:
        return f"https://www.facebook.com/{receipt}"

    async def close(self) -> None:
        await self.graph.close()


class _GraphApi(HttpApi):
    """The Graph API: every error is a 400 here, and the code within says what is meant."""

    def interpret(self, reply: HttpReply, failure: type[ChannelError]) -> ChannelError | None:
        error = reply.body.get("error")
        code, part = (error.get("code"), error.get("error_subcode")) if isinstance(error, dict) else (None, None)
        reason = self.reason(reply)
        if part in RECIPIENT_ERRORS:
            return Refused(f"Facebook: {reason}")
        if code in TEMPORARY_ERRORS:
            return failure(f"Facebook: {reason}")
        if code in RATE_LIMIT_ERRORS:
            return Slower("Facebook asks us to slow down", after=_regain_seconds(reply))
        if code == 100 and part == 33:
            return NotFound(f"Facebook: {reason}")
        if code in TOKEN_ERRORS:
            return CredentialsRefused(
                f"Facebook no longer takes the page token: {reason}; renew it, {resume_hint('facebook')}"
            )
        if code in PERMISSION_ERRORS:
            return Blocked(f"Facebook does not let us do this: {reason}; {resume_hint('facebook')}")
        return posts.Duplicate(reason) if code in DUPLICATE_ERRORS else None

    def reason(self, reply: HttpReply) -> str:
        error = reply.body.get("error")
        return str(error.get("message"))[:300] if isinstance(error, dict) else f"it answered {reply.status}"


def _regain_seconds(reply: HttpReply) -> float:
    """Read how long the API wants us to wait: `estimated_time_to_regain_access`, in minutes.
    https://developers.facebook.com/docs/graph-api/overview/rate-limiting"""
    try:
        usage = orjson.loads(reply.headers.get("x-business-use-case-usage", "{}"))
        minutes = [
            int(usage_.get("estimated_time_to_regain_access", 0)) for kinds in usage.values() for usage_ in kinds
        ]
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        minutes = []
    return max(minutes, default=0) * 60.0 or retry_after(reply.headers)


def _app_secret_proof(token: str, secret: str) -> dict[str, str]:
    """Compute the proof that a call comes from the app's owner.
    https://developers.facebook.com/docs/graph-api/guides/secure-requests"""
    return {"appsecret_proof": hmac.digest(secret.encode(), token.encode(), "sha256").hex()} if secret else {}
