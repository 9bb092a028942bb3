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
from passaparola.channel.http import Missing, Network, Reply, resume, slower
from passaparola.channel.sender import Answer, Channel, Dispatch, Evidence, Look, Media, Skeleton
from passaparola.errors import Blocked, ChannelError, Misconfigured, Refused, Slower
from passaparola.failpoints import failpoint
from passaparola.settings import FromEnvironment

LIMITS = posts.Limits(3_000, 20, 8 * 1024 * 1024, (".png", ".jpg", ".jpeg", ".gif"))
LONGEST_COMMENT, PAGE = 1_250, 100
RESERVED = regex.compile(r"[\\|{}@\[\]()<>#*_~]")  # of its "little text" format
A_WHILE = 15 * 60.0  # its limits are per day and in no header


class LinkedinSettings(FromEnvironment):
    linkedin_organisation_id: str = ""
    linkedin_access_token: SecretStr = SecretStr("")
    linkedin_api_url: str = "https://api.linkedin.com"
    linkedin_api_version: str = "202607"


class Linkedin(Channel):
    name = "linkedin"
    medium = "linkedin"
    public = True
    timeout = 60.0
    look = Look("LinkedIn", "#0a66c2", fold=210, share="https://www.linkedin.com/sharing/share-offsite/?url={url}")

    def __init__(self) -> None:
        self.page, self.api = account(self.timeout / 4)

    @classmethod
    def problems(cls, skeleton: Skeleton) -> list[str]:
        return posts.problems(skeleton, "LinkedIn", LIMITS)

    @classmethod
    def note(cls, skeleton: Skeleton) -> str:
        return posts.note(skeleton, LIMITS)

    async def send(self, dispatch: Dispatch) -> Answer:
        message, text = dispatch.messages[0], posts.said(dispatch)
        if answered := message.headers.get("In-Reply-To", ""):
            return await self._answer(message.id, answered, text)
        post: dict[str, Any] = {
            "author": self.page, "commentary": little_text(text), "visibility": "PUBLIC", "lifecycleState": "PUBLISHED",
            "distribution": {"feedDistribution": "MAIN_FEED", "targetEntities": [], "thirdPartyDistributionChannels": []},
            "isReshareDisabledByAuthor": False,
        }  # fmt: skip
        pictures = [{"id": await self._picture(one), "altText": one.alt[:4086]} for one in dispatch.skeleton.media]
        if pictures:
            post["content"] = {"multiImage": {"images": pictures}} if len(pictures) > 1 else {"media": pictures[0]}
        failpoint("half_written")
        try:
            made = await self.api.call("POST", "/rest/posts", json=post)
        except _Duplicate as error:
            there = (await self.look_up(dispatch)).accepted
            if message.id not in there:
                raise Refused(f"LinkedIn already holds this very post ({error}); change the wording") from None
            return Answer(receipt=there[message.id], receipts=there)
        failpoint("accepted")
        receipt = made.headers.get("x-restli-id", "")
        return Answer(receipt=receipt, receipts={message.id: receipt})

    async def _picture(self, media: Media) -> str:
        _, body, kind = posts.picture(media)
        asked = {"initializeUploadRequest": {"owner": self.page}}
        begun = await self.api.call("POST", "/rest/images?action=initializeUpload", changes=False, json=asked)
        value = begun.body.get("value") or {}
        await self.api.call(
            "PUT", str(value.get("uploadUrl")), changes=False, data=body, headers={"Content-Type": kind}
        )
        return str(value.get("image"))

    async def _answer(self, id_: str, comment: str, text: str) -> Answer:
        """`comment` is urn:li:comment:(urn:li:activity:1,2); a comment on a comment names both."""
        thing = found[1] if (found := re.match(r"urn:li:comment:\((urn:li:\w+:\d+),\d+\)", comment)) else comment
        said = {
            "actor": self.page,
            "object": thing,
            "message": {"text": posts.no_longer_than(text, LONGEST_COMMENT, "LinkedIn")},
            "parentComment": comment,
        }
        where = f"/rest/socialActions/{quote(comment, safe='')}/comments"
        made = await self.api.call("POST", where, json=said, personal=True)
        failpoint("accepted")
        receipt = str(made.body.get("commentUrn") or made.headers.get("x-restli-id", ""))
        return Answer(receipt=receipt, receipts={id_: receipt})

    async def look_up(self, dispatch: Dispatch) -> Evidence:
        """The page's own posts since the launch."""
        since = (dispatch.since - timedelta(minutes=1)).timestamp() * 1000
        shown = (await self.api.read(f"/rest/posts?{own_posts(self.page, PAGE)}")).get("elements")
        wanted, message = little_text(posts.said(dispatch)), dispatch.messages[0]
        if not isinstance(shown, list):
            return Evidence()
        recent = [post for post in shown if float(post.get("createdAt") or 0) >= since]
        for post in recent:
            if posts.same(str(post.get("commentary", "")), wanted):
                return Evidence({message.id: str(post["id"])})
        # A page full of what is newer may go on where we do not look.
        return Evidence(absent=frozenset([message.id])) if len(recent) < PAGE else Evidence()

    async def read_back(self, receipt: str) -> bool | None:
        try:
            post = await self.api.read(f"/rest/posts/{quote(receipt, safe='')}")
        except Missing:
            return False
        state = post.get("lifecycleState")
        return None if state == "PUBLISH_REQUESTED" else state == "PUBLISHED"

    @classmethod
    def post_url(cls, receipt: str) -> str:
        return f"https://www.linkedin.com/feed/update/{receipt}"

    async def close(self) -> None:
        await self.api.close()


def account(timeout: float) -> tuple[str, "LinkedinApi"]:
    """The page's URN and the way to it. Raises Misconfigured."""
    own = LinkedinSettings()
    token = own.linkedin_access_token.get_secret_value()
    if not own.linkedin_organisation_id or not token:
        raise Misconfigured("LinkedIn needs PASSAPAROLA_LINKEDIN_ORGANISATION_ID and PASSAPAROLA_LINKEDIN_ACCESS_TOKEN")
    headers = {
        "Authorization": f"Bearer {token}",
        "LinkedIn-Version": own.linkedin_api_version,
        "X-Restli-Protocol-Version": "2.0.0",
    }
    api = LinkedinApi("linkedin", "LinkedIn", own.linkedin_api_url, timeout, headers)
    return f"urn:li:organization:{own.linkedin_organisation_id}", api


def own_posts(page: str, count: int) -> str:
    """A query as Rest.li 2 wants it: what is in a URN stays encoded."""
    return urlencode({"author": page, "q": "author", "count": count, "sortBy": "LAST_MODIFIED"}, quote_via=quote)


class _Duplicate(ChannelError):
    pass


class LinkedinApi(Network):
    def understood(self, reply: Reply, lost: type[ChannelError]) -> ChannelError | None:
        said = self.reason(reply)
        if reply.status == 426 or reply.body.get("code") == "NONEXISTENT_VERSION":
            return Blocked(
                f"LinkedIn has retired this version of its API; set PASSAPAROLA_LINKEDIN_API_VERSION, {resume('linkedin')}"
            )
        if reply.status == 429:
            return Slower("LinkedIn's limit for today is reached", after=max(slower(reply.headers), A_WHILE))
        return _Duplicate(said) if reply.status in (409, 422) and "duplicate" in said.lower() else None


def little_text(text: str) -> str:
    """Their format for a post: reserved signs escaped, hashtags as tags.

    https://learn.microsoft.com/linkedin/marketing/community-management/shares/little-text-format
    """
    pieces, end = [], 0
    for tag in posts.TAG.finditer(text):
        pieces += [_escaped(text[end : tag.start()]), "{hashtag|\\#|", _escaped(tag[1]), "}"]
        end = tag.end()
    return "".join([*pieces, _escaped(text[end:])])


def _escaped(text: str) -> str:
    return RESERVED.sub(lambda sign: "\\" + sign[0], text)
