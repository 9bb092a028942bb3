"""A campaign's public posts as a feed. Nothing is sent anywhere: what the ledger says is sent stands in the feed.

The feed is a page of ours, /feed.xml (passaparola/web/feed.py), which reads the ledger; so there is no answer
that could be lost.
"""

from passaparola.channel import posts
from passaparola.channel.sender import Branding, Dispatch, Evidence, Sender, SendResult, Skeleton

LIMITS = posts.PostLimits(100_000, 10, 10 * 1024 * 1024, (".png", ".jpg", ".jpeg", ".gif", ".webp"))


class RssSender(Sender):
    name = "rss"
    medium = "rss"
    public = True
    branding = Branding("RSS", "#c2410c")

    @classmethod
    def problems(cls, skeleton: Skeleton) -> list[str]:
        return posts.find_problems(skeleton, "The feed", LIMITS)

    async def send(self, dispatch: Dispatch) -> SendResult:
        return SendResult(receipt="feed")

    async def look_up(self, dispatch: Dispatch) -> Evidence:
        return Evidence(absent=frozenset(message.id for message in dispatch.messages))
