"""What is said of us elsewhere: blogs, forums, YouTube, Flickr, SlideShare, through the feeds that they offer.

An entry that has one of our words in it is a mention by whoever wrote it. A feed is asked whether anything is new
before it is fetched (RFC 9110, 13.1), and a page that sends us elsewhere is not followed to another site.
"""

import calendar
import io
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import orjson
import regex

from passaparola.channel.posts import missing_library
from passaparola.channel.receiver import InboundEvent, InboundText, ParseResult, Poll, RawPayload
from passaparola.channel.signed_webhook import body_digest, clean_text
from passaparola.errors import Misconfigured, Unavailable
from passaparola.settings import FromEnvironment

if TYPE_CHECKING:
    import aiohttp

POLL_INTERVAL_SECONDS = 30 * 60  # seconds between two looks at a feed
MAX_FEED_BYTES, MAX_REDIRECTS = 4 * 1024 * 1024, 3
NETWORKS = {"youtube.com": "youtube", "youtu.be": "youtube", "flickr.com": "flickr", "slideshare.net": "slideshare"}


class FeedsSettings(FromEnvironment):
    feeds: str = ""  # addresses, with a space between
    brand_words: str = ""  # `bottega passaparola, the bottega`


class FeedsReceiver(Poll):
    name = "feeds"
    media = ("blog", "youtube", "flickr", "slideshare")

    async def poll(self, since: str) -> tuple[Sequence[RawPayload], str]:
        import aiohttp

        settings, marks, bodies = FeedsSettings(), orjson.loads(since or "{}"), []
        if not settings.feeds.split() or not settings.brand_words.strip():
            raise Misconfigured("Feeds need PASSAPAROLA_FEEDS and PASSAPAROLA_BRAND_WORDS")
        _parser()
        problems = []
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=20), headers={"User-Agent": "passaparola"}, trust_env=False
        ) as http:
            for url in settings.feeds.split():
                if time.time() - float(marks.get(url, {}).get("looked", 0)) < POLL_INTERVAL_SECONDS:
                    continue
                try:
                    body, mark = await _fetch(http, url, marks.get(url, {}))
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    problems.append(f"{url}: {error or type(error).__name__}")  # one feed stops no other
                    continue
                marks[url] = mark | {"looked": str(int(time.time()))}
                if body:
                    bodies.append(RawPayload(f"{body_digest(body)[:40]}:{url}"[:200], body, {":url": url}))
        if problems and not bodies and len(problems) == len(settings.feeds.split()):
            raise Unavailable("; ".join(problems)[:300])
        return bodies, orjson.dumps(marks).decode()

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        words = [word.strip() for word in FeedsSettings().brand_words.split(",") if word.strip()]
        feed = _parser()(io.BytesIO(body))  # bytes would be taken for the name of a file first
        if feed.bozo and not feed.entries:
            raise ValueError("this is not a feed")
        site = str(feed.feed.get("link") or headers.get(":url", ""))
        happenings = [_parse_entry(entry, site) for entry in feed.entries if _mentions_brand(entry, words)]
        return ParseResult([event for event in happenings if event])


def _parser() -> Any:
    try:
        from feedparser import parse
    except ImportError:
        raise missing_library("feeds", "Listening to feeds") from None
    return parse


async def _fetch(http: "aiohttp.ClientSession", url: str, mark: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """Return the feed and what to ask with next time; no bytes: nothing is new."""
    params = {"If-None-Match": mark.get("etag", ""), "If-Modified-Since": mark.get("modified", "")}
    where = url
    for _ in range(MAX_REDIRECTS + 1):
        async with http.get(where, headers={k: v for k, v in params.items() if v}, allow_redirects=False) as response:
            if response.status == 304:
                return b"", dict(mark)
            if response.status in (301, 302, 303, 307, 308):
                where = _same_site(where, response.headers.get("Location", ""))
                continue
            if response.status != 200:
                raise ValueError(f"it answered {response.status}")
            body = await response.content.read(MAX_FEED_BYTES + 1)
            while len(body) <= MAX_FEED_BYTES and (more := await response.content.read(MAX_FEED_BYTES + 1 - len(body))):
                body += more
            if len(body) > MAX_FEED_BYTES:
                raise ValueError("it is too large")
            validators = {
                "etag": response.headers.get("ETag", ""),
                "modified": response.headers.get("Last-Modified", ""),
            }
            return body, {name: value for name, value in validators.items() if value}
    raise ValueError("it sends us in circles")


def _same_site(here: str, there: str) -> str:
    target = urljoin(here, there)
    old, new = urlsplit(here), urlsplit(target)
    if (
        new.scheme not in ("http", "https")
        or _host(here) != _host(target)
        or ((new.port, old.port).count(None) == 0 and new.port != old.port)
    ):
        raise ValueError("it sends us to another site")
    return target


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower().removeprefix("www.")


def _entry_text(entry: Any) -> str:
    from inscriptis import get_text

    written = entry.get("summary") or (entry.content[0].value if entry.get("content") else "")
    return str(get_text(f"<html><body>{written}</body></html>")).replace("\x00", "").strip()


def _mentions_brand(entry: Any, words: list[str]) -> bool:
    text = f"{entry.get('title', '')} {_entry_text(entry)}"
    return any(regex.search(rf"(?<!\w){regex.escape(word)}(?!\w)", text, regex.IGNORECASE) for word in words)


def _parse_entry(entry: Any, site: str) -> InboundEvent | None:
    link = clean_text(entry.get("link"), 500)
    medium = NETWORKS.get(_host(link) or _host(site), "blog")
    author = entry.get("author_detail") or {}
    home = clean_text(author.get("href"), 300)
    handle = home.rstrip("/").rpartition("/")[2] if medium != "blog" and home else ""
    handle = (
        handle
        or ("" if medium == "blog" else clean_text(author.get("name"))).replace(" ", "_")
        or _host(home)
        or _host(link)
        or _host(site)
    )
    when = entry.get("published_parsed") or entry.get("updated_parsed")
    if not handle or not when:
        return None
    title, id_ = (
        clean_text(entry.get("title"), 300),
        clean_text(f"{_host(link) or _host(site)} {entry.get('id') or link}", 250),
    )
    text = InboundText(
        f"{title}\n\n{_entry_text(entry)}".strip()[:8_000],
        subject=title,
        external_id=link[:300],
        thread=link[:300] or id_,
    )
    return InboundEvent(
        kind="mentioned",
        id=id_,
        at=datetime.fromtimestamp(calendar.timegm(when), tz=UTC),
        addresses={medium: handle},
        medium=medium,
        properties={"url": link},
        text=text,
    )
