"""A LinkedIn page, through the Posts API: a post with pictures, answers to comments.

Every call names the month of the API that it was written for; LinkedIn keeps each for a year at least, then refuses it.
https://learn.microsoft.com/linkedin/marketing/community-management/shares/posts-api and …/linkedin/marketing/versioning
"""

import re
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import regex
from pydantic import SecretStr

from passaparola.channel import posts
from passaparola.channel.http import HttpApi, HttpReply, NotFound, resume_hint, retry_after
from passaparola.channel.sender import Branding, Dispatch, Media
from passaparola.errors import Blocked, ChannelError, Misconfigured, Slower
from passaparola.failpoints import failpoint
from passaparola.settings import FromEnvironment

MAX_COMMENT_CHARS, PAGE_SIZE = 1_250, 100
RESERVED = regex.compile(r"[\\|{}@\[\]()<>#*_~]")  # of its "little text" format
RATE_LIMIT_RETRY_SECONDS = 15 * 60.0  # its limits are per day and in no header


class LinkedinSettings(FromEnvironment):
    linkedin_organisation_id: str = ""
    linkedin_access_token: SecretStr = SecretStr("")
    linkedin_api_url: str = "https://api.linkedin.com"
    linkedin_api_version: str = "202607"


class LinkedinSender(posts.PostSender):
    name = "linkedin"
    medium = "linkedin"
    limits = posts.PostLimits(3_000, 20, 8 * 1024 * 1024, (".png", ".jpg", ".jpeg", ".gif"))
    branding = Branding(
        "LinkedIn", "#0a66c2", fold=210, share="https://www.linkedin.com/sharing/share-offsite/?url={url}"
    )

    def __init__(self) -> None:
        self.page, self.api = open_account(self.timeout / 4)

    async def publish(self, text: str, dispatch: Dispatch) -> str:
        feed = {"feedDistribution": "MAIN_FEED", "targetEntities": [], "thirdPartyDistributionChannels": []}
        post: dict[str, Any] = {
            "author": self.page,
            "commentary": little_text(text),
            "visibility": "PUBLIC",
            "lifecycleState": "PUBLISHED",
            "distribution": feed,
            "isReshareDisabledByAuthor": False,
        }
        pictures = [
            {"id": await self._upload_picture(picture), "altText": picture.alt[:4086]}
            for picture in dispatch.skeleton.media
        ]
        if pictures:
            post["content"] = {"multiImage": {"images": pictures}} if len(pictures) > 1 else {"media": pictures[0]}
        failpoint("half_written")
        made = await self.api.call("POST", "/rest/posts", json=post)
        return made.headers.get("x-restli-id", "")

    async def _upload_picture(self, media: Media) -> str:
        _, body, kind = posts.load_picture(media)
        upload_request = {"initializeUploadRequest": {"owner": self.page}}
        begun = await self.api.call("POST", "/rest/images?action=initializeUpload", changes=False, json=upload_request)
        value = begun.body.get("value") or {}
        await self.api.call(
            "PUT", str(value.get("uploadUrl")), changes=False, data=body, headers={"Content-Type": kind}
        )
        return str(value.get("image"))

    async def reply(self, to: str, text: str, dispatch: Dispatch) -> str:
        """Answer a comment. `to` is urn:li:comment:(urn:li:activity:1,2); a comment on a comment names both."""
        thing = match[1] if (match := re.match(r"urn:li:comment:\((urn:li:\w+:\d+),\d+\)", to)) else to
        payload = {
            "actor": self.page,
            "object": thing,
            "message": {"text": posts.require_length(text, MAX_COMMENT_CHARS, "LinkedIn")},
            "parentComment": to,
        }
        where = f"/rest/socialActions/{quote(to, safe='')}/comments"
        made = await self.api.call("POST", where, json=payload, personal=True)
        return str(made.body.get("commentUrn") or made.headers.get("x-restli-id", ""))

    async def recent(self, since: datetime) -> posts.RecentPosts | None:
        shown = (await self.api.read(f"/rest/posts?{own_posts_path(self.page, PAGE_SIZE)}")).get("elements")
        if not isinstance(shown, list):
            return None
        new = [post for post in shown if float(post.get("createdAt") or 0) >= since.timestamp() * 1000]
        # A page full of what is newer may go on where we do not look.
        return posts.RecentPosts(
            [(str(post["id"]), str(post.get("commentary", ""))) for post in new], complete=len(new) < PAGE_SIZE
        )

    @classmethod
    def as_shown(cls, text: str) -> str:
        return little_text(text)

    async def read_back(self, receipt: str) -> bool | None:
        try:
            post = await self.api.read(f"/rest/posts/{quote(receipt, safe='')}")
        except NotFound:
            return False
        state = post.get("lifecycleState")
        return None if state == "PUBLISH_REQUESTED" else state == "PUBLISHED"

    @classmethod
    def post_url(cls, receipt: str) -> str:
        return f"https://www.linkedin.com/feed/update/{receipt}"

    async def close(self) -> None:
        await self.api.close()


def open_account(timeout: float) -> tuple[str, "LinkedinApi"]:
    """Return the page's URN and the API. Raises Misconfigured."""
    settings = LinkedinSettings()
    token = settings.linkedin_access_token.get_secret_value()
    if not settings.linkedin_organisation_id or not token:
        raise Misconfigured("LinkedIn needs PASSAPAROLA_LINKEDIN_ORGANISATION_ID and PASSAPAROLA_LINKEDIN_ACCESS_TOKEN")
    headers = {
        "Authorization": f"Bearer {token}",
        "LinkedIn-Version": settings.linkedin_api_version,
        "X-Restli-Protocol-Version": "2.0.0",
    }
    api = LinkedinApi("linkedin", "LinkedIn", settings.linkedin_api_url, timeout, headers)
    return f"urn:li:organization:{settings.linkedin_organisation_id}", api


def own_posts_path(page: str, count: int) -> str:
    """Build the query for our own posts as Rest.li 2 wants it: what is in a URN stays encoded."""
    return urlencode({"author": page, "q": "author", "count": count, "sortBy": "LAST_MODIFIED"}, quote_via=quote)


class LinkedinApi(HttpApi):
    def interpret(self, reply: HttpReply, failure: type[ChannelError]) -> ChannelError | None:
        reason = self.reason(reply)
        if reply.status == 426 or reply.body.get("code") == "NONEXISTENT_VERSION":
            return Blocked(
                "LinkedIn has retired this version of its API; set PASSAPAROLA_LINKEDIN_API_VERSION, "
                f"{resume_hint('linkedin')}"
            )
        if reply.status == 429:
            return Slower(
                "LinkedIn's limit for today is reached", after=max(retry_after(reply.headers), RATE_LIMIT_RETRY_SECONDS)
            )
        return posts.Duplicate(reason) if reply.status in (409, 422) and "duplicate" in reason.lower() else None


def little_text(text: str) -> str:
    """Escape a text for a post: reserved signs escaped, hashtags as tags.
    https://learn.microsoft.com/linkedin/marketing/community-management/shares/little-text-format"""
    pieces, end = [], 0
    for tag in posts.TAG.finditer(text):
        pieces += [_escaped(text[end : tag.start()]), "{hashtag|\\#|", _escaped(tag[1]), "}"]
        end = tag.end()
    return "".join([*pieces, _escaped(text[end:])])


def _escaped(text: str) -> str:
    return RESERVED.sub(lambda sign: "\\" + sign[0], text)
