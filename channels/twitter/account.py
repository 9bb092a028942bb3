"""One conversation with X's API, on its own connection: posts, look-ups, uploads, and X's answers in our words."""

import html
import re
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from passaparola.channel import posts
from passaparola.channel.sender import Dispatch, Evidence, Media, SendResult
from passaparola.channels.twitter.length import thread
from passaparola.errors import Blocked, Refused, Slower, Unavailable, Uncertain
from passaparola.failpoints import failpoint

PAGE_SIZE = 100


class Account:
    """One conversation with the API, on its own connection: tweepy's client is not for sharing between threads."""

    def __init__(self, keys: list[str], api_url: str, timeout: float) -> None:
        import tweepy

        self.client = tweepy.Client(None, *keys, wait_on_rate_limit=False)
        _redirect(self.client.session, api_url, timeout)
        self.keys, self.api_url, self.timeout = keys, api_url, timeout

    def me(self) -> str:
        return str(self._call(lambda: self.client.get_me(user_auth=True), began=False).data.id)

    def is_visible(self, id_: str) -> bool | None:
        """Return whether a post is there, by an owned read. Of a post that is not there X says so in a 200, so a
        refusal says nothing of it."""
        try:
            post = self._call(lambda: self.client.get_tweet(id_, user_auth=True), began=False)
        except Refused:
            return None
        return post.data is not None and str(post.data.id) == id_

    def read(self, query: Callable[[Any], Any]) -> dict[str, Any]:
        """Return a page as X answers it. Raises Unavailable, Blocked, Refused."""
        import requests

        self.client.return_type = requests.Response
        page: dict[str, Any] = self._call(lambda: query(self.client), began=False).json()
        return page

    def post(self, dispatch: Dispatch) -> SendResult:
        message = dispatch.messages[0]
        answered = message.headers.get("In-Reply-To", "")
        if answered.startswith("direct:"):
            return self._direct_message(message.id, answered.removeprefix("direct:"), dispatch)
        began = time.monotonic()
        parts = thread(dispatch.skeleton.parts["text"].fill(message.values))
        media = [self._call(partial(self._upload, picture), began=False) for picture in dispatch.skeleton.media]
        posted: list[str] = []
        for part in parts:
            failpoint("half_written")
            if time.monotonic() - began > self.timeout / 2:  # whoever waits for us may give up before X answers
                if posted:
                    raise Uncertain(f"{len(posted)} of {len(parts)} posts of the thread are out, then X became slow")
                raise Unavailable("X is slow today")
            try:
                after = posted[-1] if posted else answered or None
                posted.append(self._create(part, media if not posted else [], after))
            except _Duplicate:
                return self._already_there(dispatch, posted)
            except (Refused, Unavailable, Blocked) as error:
                if posted:
                    raise Uncertain(f"{len(posted)} of {len(parts)} posts of the thread are out: {error}") from error
                raise
        failpoint("accepted")
        return SendResult(receipt=posted[0], receipts={message.id: posted[0]})

    def _direct_message(self, id_: str, conversation: str, dispatch: Dispatch) -> SendResult:
        text = dispatch.skeleton.parts["text"].fill(dispatch.messages[0].values)
        made = self._call(
            lambda: self.client.create_direct_message(dm_conversation_id=conversation, text=text, user_auth=True)
        )
        failpoint("accepted")
        receipt = str(made.data["dm_event_id"])
        return SendResult(receipt=receipt, receipts={id_: receipt})

    def _create(self, text: str, media: list[str], after: str | None) -> str:
        made = self._call(
            lambda: self.client.create_tweet(
                text=text, media_ids=media or None, in_reply_to_tweet_id=after, user_auth=True
            )
        )
        return str(made.data["id"])

    def _already_there(self, dispatch: Dispatch, posted: list[str]) -> SendResult:
        """Find the post that X refuses as a duplicate. One of ours from this launch means that it is out; with an
        older one X will not take the text again."""
        message = dispatch.messages[0]
        if not posted and (receipt := self.evidence(dispatch).accepted.get(message.id)):
            return SendResult(receipt=receipt, receipts={message.id: receipt})
        if posted:
            raise Uncertain("a later post of the thread is a duplicate of an older one")
        raise Refused("X already holds a post with this very text; change the wording")

    def evidence(self, dispatch: Dispatch) -> Evidence:
        """Look a thread up in our own timeline since the launch: all parts are there, or none; a part of it proves
        neither."""
        me = self.me()
        fields = ["created_at", "entities"]
        fetch = self._call(
            lambda: self.client.get_users_tweets(me, max_results=PAGE_SIZE, tweet_fields=fields, user_auth=True),
            began=False,
        )
        mine = {
            _original_text(t): str(t.id)
            for t in fetch.data or []
            if t.created_at >= dispatch.since - timedelta(minutes=1)
        }
        accepted, absent = {}, set()
        for message in dispatch.messages:
            wanted = [part.strip() for part in thread(dispatch.skeleton.parts["text"].fill(message.values))]
            there = [mine[part] for part in wanted if part in mine]
            if len(there) == len(wanted):
                accepted[message.id] = there[0]
            elif not there and len(mine) < PAGE_SIZE:  # a page full of what is newer may go on where we do not look
                absent.add(message.id)
        return Evidence(accepted, frozenset(absent))

    def _upload(self, media: Media) -> str:
        """Upload a picture by version 2 of the API, which tweepy does not have: initialize, append, finalize, alt
        text."""
        name, body, kind = posts.load_picture(media)
        begun = self._upload_call(
            "initialize", json={"media_type": kind, "total_bytes": len(body), "media_category": "tweet_image"}
        )
        id_ = str(begun["data"]["id"])
        self._upload_call(f"{id_}/append", data={"segment_index": "0"}, files={"media": (name, body)})
        self._upload_call(f"{id_}/finalize")
        self._upload_call(
            "", route="/2/media/metadata", json={"id": id_, "metadata": {"alt_text": {"text": media.alt[:1000]}}}
        )
        return id_

    def _upload_call(self, step: str, route: str = "/2/media/upload/", **body: object) -> Any:
        import requests
        import tweepy
        from requests_oauthlib import OAuth1

        response: requests.Response = self.client.session.post(
            f"{self.api_url}{route}{step}", auth=OAuth1(*self.keys), **body
        )
        for status, error in ((401, tweepy.Unauthorized), (403, tweepy.Forbidden), (429, tweepy.TooManyRequests)):
            if response.status_code == status:
                raise error(response)
        if response.status_code >= 500:
            raise tweepy.TwitterServerError(response)
        if response.status_code >= 400:
            raise tweepy.BadRequest(response)
        return response.json() if response.content else {}

    def _call(self, call: Callable[[], Any], began: bool = True) -> Any:  # noqa: C901  one branch per kind of answer
        """Call X and translate its errors into ours. `began`: whether a lost answer may hide a post; reading and
        uploading hide none."""
        import requests
        import tweepy

        failure: type[Unavailable] | type[Uncertain] = Uncertain if began else Unavailable
        try:
            return call()
        except tweepy.TooManyRequests as error:
            reset = float(error.response.headers.get("x-rate-limit-reset", time.time() + 60))
            raise Slower("X asks us to slow down", after=max(reset - time.time(), 1.0)) from None
        except tweepy.Unauthorized:
            raise Blocked("X refused the keys; renew them, then: passaparola channel resume twitter") from None
        except tweepy.Forbidden as error:
            reason = " ".join(error.api_messages) or str(error.response.text)[:200]
            if "duplicate content" in reason.lower():
                raise _Duplicate from None
            raise Refused(f"X: {reason}") from None
        except (tweepy.BadRequest, tweepy.NotFound) as error:
            raise Refused(f"X: {' '.join(error.api_messages) or error}") from None
        except requests.exceptions.ConnectTimeout:
            raise Unavailable("X cannot be reached") from None
        except requests.exceptions.ConnectionError as error:
            if "NewConnectionError" in repr(error):
                raise Unavailable("X cannot be reached") from None
            raise failure("the connection to X broke before it answered") from None
        except requests.exceptions.RequestException as error:
            raise failure(f"X did not answer: {type(error).__name__}") from None
        except tweepy.HTTPException as error:
            if error.response.status_code == 402:
                raise Blocked(
                    "the X account has no credits left; top it up, then: passaparola channel resume twitter"
                ) from None
            raise failure(f"X answered {error.response.status_code}") from None


class _Duplicate(Exception):
    pass


def _redirect(session: Any, api_url: str, timeout: float) -> None:
    """Point tweepy's client at our API address. Its host is written in and it has no time-out; an adapter gives it
    both."""
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def send(self, request: Any, *given: Any, **how: Any) -> Any:
            request.url = request.url.replace("https://api.twitter.com", api_url, 1)
            how["timeout"] = timeout / 4
            return super().send(request, *given, **how)

    session.mount("https://api.twitter.com", Adapter())
    session.mount(api_url, Adapter())


def _original_text(tweet: Any) -> str:
    """Return a post's text with its shortened links as we wrote them, and without the link to its own picture."""
    text = html.unescape(tweet.text)
    for url in (tweet.entities or {}).get("urls", []):
        own_url = (
            ""
            if "media_key" in url or "/photo/" in url.get("expanded_url", "")
            else url.get("expanded_url", url["url"])
        )
        text = text.replace(url["url"], own_url)
    return re.sub(r"\s*https://t\.co/\w+$", "", text).strip()
