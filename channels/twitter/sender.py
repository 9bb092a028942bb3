"""X, through tweepy: a post, a thread when the text is long, pictures with alt text.

X has no idempotency key. What helps after a lost answer is our own timeline (an owned read, $0.001), and that X
refuses the same text twice. Facts: https://docs.x.com/x-api/posts/creation-of-a-post, …/fundamentals/rate-limits
"""

from asyncio import to_thread
from decimal import Decimal

from pydantic import SecretStr

from passaparola.channel import posts
from passaparola.channel.sender import Branding, Dispatch, Evidence, Sender, SendResult, Skeleton
from passaparola.channels.twitter.account import Account
from passaparola.channels.twitter.length import MAX_WEIGHT, URL, thread, weighted_length
from passaparola.errors import Misconfigured
from passaparola.settings import FromEnvironment

MAX_THREAD_POSTS = 10
LIMITS = posts.PostLimits(0, 4, 5 * 1024 * 1024, (".png", ".jpg", ".jpeg", ".webp", ".gif"), lambda text: 0)
PRICE_PER_POST, PRICE_PER_POST_WITH_URL = Decimal("0.015"), Decimal("0.200")  # US dollars, pay per use since 2026-02-06


class TwitterSettings(FromEnvironment):
    twitter_consumer_key: SecretStr = SecretStr("")
    twitter_consumer_secret: SecretStr = SecretStr("")
    twitter_access_token: SecretStr = SecretStr("")
    twitter_access_token_secret: SecretStr = SecretStr("")
    twitter_api_url: str = "https://api.x.com"


class TwitterSender(Sender):
    name = "twitter"
    medium = "twitter"
    branding = Branding("X", "#0f1419", share="https://x.com/intent/post?text={text}&url={url}")
    public = True
    batch_size = 1
    timeout = 60.0

    def __init__(self) -> None:
        settings = TwitterSettings()
        self.keys = [
            key.get_secret_value()
            for key in (
                settings.twitter_consumer_key,
                settings.twitter_consumer_secret,
                settings.twitter_access_token,
                settings.twitter_access_token_secret,
            )
        ]
        if not all(self.keys):
            raise Misconfigured("X needs all four PASSAPAROLA_TWITTER_… keys; see docs/operations.md")
        self.api_url = settings.twitter_api_url.rstrip("/")

    @classmethod
    def problems(cls, skeleton: Skeleton) -> list[str]:
        problems = posts.find_problems(skeleton, "X", LIMITS)
        if (parts := len(cls.split_posts(posts.skeleton_text(skeleton)))) > MAX_THREAD_POSTS:
            problems.append(f"{parts} posts of {MAX_WEIGHT} are a long thread; {MAX_THREAD_POSTS} are the most")
        return problems

    @classmethod
    def split_posts(cls, text: str) -> list[str]:
        return thread(text)

    @classmethod
    def price(cls, skeleton: Skeleton) -> Decimal:
        parts = thread(skeleton.parts["text"].fill(()))
        return sum((PRICE_PER_POST_WITH_URL if URL.search(part) else PRICE_PER_POST for part in parts), Decimal(0))

    @classmethod
    def approval_note(cls, skeleton: Skeleton) -> str:
        parts = thread(skeleton.parts["text"].fill(()))
        return " + ".join(f"{weighted_length(part)} of {MAX_WEIGHT}" for part in parts)

    async def send(self, dispatch: Dispatch) -> SendResult:
        return await to_thread(open_account(self).post, dispatch)

    async def look_up(self, dispatch: Dispatch) -> Evidence:
        return await to_thread(open_account(self).evidence, dispatch)

    async def read_back(self, receipt: str) -> bool | None:
        return await to_thread(open_account(self).is_visible, receipt)

    @classmethod
    def post_url(cls, receipt: str) -> str:
        return f"https://x.com/i/status/{receipt}"


def open_account(sender: TwitterSender) -> "Account":
    return Account(sender.keys, sender.api_url, sender.timeout)
