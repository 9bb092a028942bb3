"""A campaign's public posts as a feed. Nothing is sent anywhere: what the ledger says is sent stands in the feed.

The feed is a page of ours, /feed.xml (passaparola/web/feed.py), which reads the ledger; so there is no answer that could be lost.
"""

from passaparola.channel import posts
from passaparola.channel.sender import Answer, Channel, Dispatch, Evidence, Look, Skeleton

LIMITS = posts.Limits(100_000, 10, 10 * 1024 * 1024, (".png", ".jpg", ".jpeg", ".gif", ".webp"))


class Rss(Channel):
    name = "rss"
    medium = "rss"
    public = True
    look = Look("RSS", "#c2410c")

    @classmethod
    def problems(cls, skeleton: Skeleton) -> list[str]:
        return posts.problems(skeleton, "The feed", LIMITS)

    async def send(self, dispatch: Dispatch) -> Answer:
        return Answer(receipt="feed")

    async def look_up(self, dispatch: Dispatch) -> Evidence:
        return Evidence(absent=frozenset(message.id for message in dispatch.messages))
