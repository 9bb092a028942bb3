"""A LinkedIn page, through the Posts API: a post with pictures, answers to comments.

Every call names the month of the API that it was written for; LinkedIn keeps each for a year at least, then refuses it.
https://learn.microsoft.com/linkedin/marketing/community-management/shares/posts-api and …/linkedin/marketing/versioning
"""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import regex
from pydantic import SecretStr

from passaparola.channel import posts
from passaparola.channel.http import HttpApi, HttpReply, NotFound, resume_hint, retry_after
from passaparola.channel.sender import Branding, Dispatch, Evidence, Media, Sender, SendResult, Skeleton
from passaparola.errors import Blocked, ChannelError, Misconfigured, Refused, Slower
from passaparola.failpoints import failpoint
from passaparola.settings import FromEnvironment

LIMITS = posts.PostLimits(3_000, 20, 8 * 1024 * 1024, (".png", ".jpg", ".jpeg", ".gif"))
MAX_COMMENT_CHARS, PAGE_SIZE = 1_250, 100
RESERVED = regex.compile(r"[\\|{}@\[\]()<>#*_~]")  # of its "little text" format
RATE_LIMIT_RETRY_SECONDS = 15 * 60.0  # its limits are per day and in no header


class LinkedinSettings(FromEnvironment):
    linkedin_organisation_id: str = ""
    linkedin_access_token: SecretStr = SecretStr("")
    linkedin_api_url: str = "https://api.linkedin.com"
    linkedin_api_version: str = "202607"


class LinkedinSender(Sender):
    name = "linkedin"
    medium = "linkedin"
    public = True
    timeout = 60.0
    branding = Branding(
        "LinkedIn", "#0a66c2", fold=210, share="https://www.linkedin.com/sharing/share-offsite/?url={url}"
    )

    def __init__(self) -> None:
        self.page, self.api = open_account(self.timeout / 4)

    @classmethod
    def problems(cls, skeleton: Skeleton) -> list[str]:
        return posts.find_problems(skeleton, "LinkedIn", LIMITS)

    @classmethod
    def approval_note(cls, skeleton: Skeleton) -> str:
        return posts.length_note(skeleton, LIMITS)

    async def send(self, dispatch: Dispatch) -> SendResult:
        message, text = dispatch.messages[0], posts.dispatch_text(dispatch)
        if answered := message.headers.get("In-Reply-To", ""):
            return await self._reply(message.id, answered, text)
        post: dict[str, Any] = {
            "author": self.page,
            "commentary": little_text(text),
            "visibility": "PUBLIC",
            "lifecycleState": "PUBLISHED",
            "distribution": {
                "feedDistribution": "MAIN_FEED",
                "targetEntities": [],
                "thirdPartyDistributionChannels": [],
            },
            "isReshareDisabledByAuthor": False,
        }
        pictures = [
            {"id": await self._upload_picture(picture), "altText": picture.alt[:4086]}
            for picture in dispatch.skeleton.media
        ]
        if pictures:
            post["content"] = {"multiImage": {"images": pictures}} if len(pictures) > 1 else {"media": pictures[0]}
        failpoint("half_written")
        try:
            made = await self.api.call("POST", "/rest/posts", json=post)
        except _Duplicate as error:
            there = (await self.look_up(dispatch)).accepted
            if message.id not in there:
                raise Refused(f"LinkedIn already holds this very post ({error}); change the wording") from None
            return SendResult(receipt=there[message.id], receipts=there)
        failpoint("accepted")
        receipt = made.headers.get("x-restli-id", "")
        return SendResult(receipt=receipt, receipts={message.id: receipt})

    async def _upload_picture(self, media: Media) -> str:
        _, body, kind = posts.load_picture(media)
        upload_request = {"initializeUploadRequest": {"owner": self.page}}
        begun = await self.api.call("POST", "/rest/images?action=initializeUpload", changes=False, json=upload_request)
        value = begun.body.get("value") or {}
        await self.api.call(
            "PUT", str(value.get("uploadUrl")), changes=False, data=body, headers={"Content-Type": kind}
        )
        return str(value.get("image"))

    async def _reply(self, id_: str, comment: str, text: str) -> SendResult:
        """Answer a comment. `comment` is urn:li:comment:(urn:li:activity:1,2); a comment on a comment names both."""
        thing = match[1] if (match := re.match(r"urn:li:comment:\((urn:li:\w+:\d+),\d+\)", comment)) else comment
        payload = {
            "actor": self.page,
            "object": thing,
            "message": {"text": posts.require_length(text, MAX_COMMENT_CHARS, "LinkedIn")},
            "parentComment": comment,
        }
        where = f"/rest/socialActions/{quote(comment, safe='')}/comments"
        made = await self.api.call("POST", where, json=payload, personal=True)
        failpoint("accepted")
        receipt = str(made.body.get("commentUrn") or made.headers.get("x-restli-id", ""))
        return SendResult(receipt=receipt, receipts={id_: receipt})

    async def look_up(self, dispatch: Dispatch) -> Evidence:
        """Look the dispatch up among the page's own posts since the launch."""
        since = (dispatch.since - timedelta(minutes=1)).timestamp() * 1000
        shown = (await self.api.read(f"/rest/posts?{own_posts_path(self.page, PAGE_SIZE)}")).get("elements")
        wanted, message = little_text(posts.dispatch_text(dispatch)), dispatch.messages[0]
        if not isinstance(shown, list):
            return Evidence()
        recent = [post for post in shown if float(post.get("createdAt") or 0) >= since]
        for post in recent:
            if posts.same_text(str(post.get("commentary", "")), wanted):
                return Evidence({message.id: str(post["id"])})
        # A page full of what is newer may go on where we do not look.
        return Evidence(absent=frozenset([message.id])) if len(recent) < PAGE_SIZE else Evidence()

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


class _Duplicate(ChannelError):
    pass


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
        return _Duplicate(reason) if reply.status in (409, 422) and "duplicate" in reason.lower() else None


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
