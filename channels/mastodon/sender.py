"""Mastodon, through Mastodon.py: a post with pictures and words for them, answers in the thread or in private.

The one network here that takes an Idempotency-Key: a post sent again with ours is the post that is there already,
for an hour. So what is in doubt is looked up and, where it is not there, sent again.
https://docs.joinmastodon.org/methods/statuses/
"""

import time
from asyncio import to_thread
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from passaparola.channel import posts
from passaparola.channel.http import resume_hint
from passaparola.channel.message_ids import sign_message_id
from passaparola.channel.sender import Branding, Dispatch
from passaparola.errors import Blocked, ChannelError, Misconfigured, Refused, Slower, Unavailable, Uncertain
from passaparola.failpoints import failpoint
from passaparola.settings import FromEnvironment, get_settings

URL_LENGTH, PAGE_SIZE = 23, 40


def count_chars(text: str) -> int:
    """Count characters as Mastodon does: every link counts the same."""
    return len(posts.URL.sub("x" * URL_LENGTH, text))


class MastodonSettings(FromEnvironment):
    mastodon_url: str = ""  # of the instance, such as https://mastodon.social
    mastodon_access_token: SecretStr = SecretStr("")
    mastodon_max_chars: int = 500  # characters; an instance may allow more


class MastodonSender(posts.PostSender):
    name = "mastodon"
    medium = "mastodon"
    branding = Branding("Mastodon", "#6364ff", share="https://share.joinmastodon.org/#text={text}%20{url}")

    def __init__(self) -> None:
        self.client = open_client(self.timeout / 4)

    @classmethod
    def post_limits(cls) -> posts.PostLimits:
        kinds = (".png", ".jpg", ".jpeg", ".gif", ".webp")
        return posts.PostLimits(MastodonSettings().mastodon_max_chars, 4, 16 * 1024 * 1024, kinds, count_chars)

    async def publish(self, text: str, dispatch: Dispatch) -> str:
        return await to_thread(self._post, text, dispatch, "")

    async def reply(self, to: str, text: str, dispatch: Dispatch) -> str:
        return await to_thread(self._post, text, dispatch, to)

    def _post(self, text: str, dispatch: Dispatch, replied: str) -> str:
        media = [self._upload_picture(*posts.load_picture(picture), picture.alt) for picture in dispatch.skeleton.media]
        how = self._reply_fields(replied)
        key = sign_message_id(get_settings().secret, dispatch.messages[0].id)
        failpoint("half_written")
        with call_api(self.client, changes=True, personal=bool(replied)):
            words = f"{how.pop('to', '')}{text}"
            return str(self.client.status_post(words, media_ids=media or None, idempotency_key=key, **how).id)

    def _reply_fields(self, replied: str) -> dict[str, Any]:
        """Build the fields of a reply. The contact is named in the text, by which the network notifies them."""
        if replied.startswith("direct:"):
            return {"to": f"@{replied.removeprefix('direct:')} ", "visibility": "direct"}
        if not replied:
            return {}
        with call_api(self.client):
            status = self.client.status(replied)
        return {"to": f"@{status.account.acct} ", "in_reply_to_id": replied, "visibility": status.visibility}

    def _upload_picture(self, name: str, body: bytes, kind: str, alt: str) -> Any:
        with call_api(self.client):
            return self.client.media_post(body, mime_type=kind, description=alt[:1500], file_name=name).id

    async def recent(self, since: datetime) -> posts.RecentPosts:
        return await to_thread(self._recent, since)

    def _recent(self, since: datetime) -> posts.RecentPosts:
        """List our own posts since the launch, as we wrote them: what is shown of a post is HTML."""
        with call_api(self.client):
            mine = self.client.account_statuses(self.client.me().id, exclude_reblogs=True, limit=PAGE_SIZE)
            new = [status for status in mine if status.created_at >= since]
            shown = [(str(status.id), self.client.status_source(status.id).text) for status in new]
        # A page full of what is newer may go on where we do not look.
        return posts.RecentPosts(shown, complete=len(new) < PAGE_SIZE)

    async def read_back(self, receipt: str) -> bool:
        return await to_thread(self._is_visible, receipt)

    def _is_visible(self, receipt: str) -> bool:
        import mastodon

        with call_api(self.client):
            try:
                return str(self.client.status(receipt).id) == receipt
            except mastodon.MastodonNotFoundError:
                return False

    @classmethod
    def post_url(cls, receipt: str) -> str:
        return f"{MastodonSettings().mastodon_url.rstrip('/')}/statuses/{receipt}"


def open_client(timeout: float) -> Any:
    """Open a client of the library. Raises Misconfigured. As shipped the library sleeps through a rate limit and
    waits five minutes for an answer."""
    settings = MastodonSettings()
    token = settings.mastodon_access_token.get_secret_value()
    if not settings.mastodon_url or not token:
        raise Misconfigured("Mastodon needs PASSAPAROLA_MASTODON_URL and PASSAPAROLA_MASTODON_ACCESS_TOKEN")
    try:
        import mastodon
    except ImportError:
        raise posts.missing_library("mastodon", "Mastodon") from None
    return mastodon.Mastodon(
        access_token=token,
        api_base_url=settings.mastodon_url,
        ratelimit_method="throw",
        request_timeout=timeout,
        user_agent="passaparola",
        mastodon_version="4.0.0",
    )


@contextmanager
def call_api(api: Any, changes: bool = False, personal: bool = False) -> Iterator[None]:
    """Call the API and translate the library's errors into ours. `personal`: it is about one person, whose refusal
    is theirs alone."""
    import mastodon

    failure: type[ChannelError] = Uncertain if changes else Unavailable
    try:
        yield
    except mastodon.MastodonRatelimitError:
        reset = (api.ratelimit_reset or time.time() + 60) - time.time()
        raise Slower("Mastodon asks us to slow down", after=max(reset, 1.0)) from None
    except mastodon.MastodonUnauthorizedError:
        raise Blocked(f"Mastodon refused the access token; {resume_hint('mastodon')}") from None
    except mastodon.MastodonServerError as error:
        raise failure(f"Mastodon answered {error.args[1]}") from None
    except mastodon.MastodonNetworkError as error:
        raise (
            Unavailable("Mastodon cannot be reached")
            if _was_never_sent(error)
            else failure("Mastodon's answer was lost")
        ) from None
    except mastodon.MastodonAPIError as error:
        status, reason = (*error.args, 0, "", "")[1], str(error.args[-1])[:300]
        if not isinstance(status, int) or status < 400:
            raise failure("Mastodon answered with something that can't be read") from None
        if status == 403 and not personal:
            raise Blocked(f"Mastodon does not let us do this: {reason}; {resume_hint('mastodon')}") from None
        raise Refused(f"Mastodon: {reason}") from None


def _was_never_sent(error: Exception) -> bool:
    """Return whether a request never left. The library hides what broke behind one class; the cause within tells."""
    import requests

    cause = error.__context__
    return isinstance(cause, requests.exceptions.ConnectTimeout) or "NewConnectionError" in repr(cause)
