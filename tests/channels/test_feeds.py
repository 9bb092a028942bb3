"""Blogs, YouTube, Flickr and the rest, through their feeds: who speaks of us, asked once, and never led elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from passaparola.channels.feeds import FeedsReceiver
from passaparola.errors import Misconfigured, Unavailable
from passaparola.settings import Settings
from tests.channels.test_contract import set_to
from tests.fakes import NOBODY
from tests.fakes._network import Answer, Call, FakeNetwork

BLOG = """<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>Cucina</title><link>https://cucina.example/</link>
<description>d</description>
<item><title>Il miele della Bottega Passaparola</title><link>https://cucina.example/miele</link><guid>g1</guid>
<pubDate>Mon, 20 Apr 2026 10:00:00 GMT</pubDate><description>&lt;p&gt;Mai mangiato un miele così &lt;b&gt;buono&lt;/b&gt;.&lt;/p&gt;</description></item>
<item><title>Altro</title><link>https://cucina.example/altro</link><guid>g2</guid><pubDate>Mon, 20 Apr 2026 11:00:00 GMT</pubDate>
<description>Passaparolare non è passaparola d'altri</description></item></channel></rss>""".encode()
YOUTUBE = b"""<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Lucia</title>
<link rel="alternate" href="https://www.youtube.com/channel/UC42"/><entry><id>yt:video:1</id><title>I try the Bottega Passaparola box</title>
<link rel="alternate" href="https://www.youtube.com/watch?v=1"/><author><name>Lucia</name><uri>https://www.youtube.com/channel/UC42</uri></author>
<published>2026-04-20T10:00:00+00:00</published></entry></feed>"""


class Site(FakeNetwork):
    def began(self) -> None:
        self.env = {"FEEDS": f"{self.url}/blog {self.url}/gone", "BRAND_WORDS": "bottega passaparola"}

    def handle(self, call: Call) -> Answer:
        if call.path == "/moved":
            return Answer(302, {}, {"Location": "/blog"})
        if call.path == "/away":
            return Answer(302, {}, {"Location": "http://169.254.169.254/latest/meta-data"})
        if call.path == "/blog" and call.headers.get("if-none-match") == '"1"':
            return Answer(304, b"")
        return (
            Answer(200, BLOG, {"ETag": '"1"', "Content-Type": "application/rss+xml"})
            if call.path == "/blog"
            else Answer(404)
        )


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Site]:
    with Site() as fake:
        set_to(monkeypatch, fake.env)
        yield fake


async def test_a_feed_is_fetched_when_it_has_something_new_and_one_that_is_gone_stops_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies, mark = await FeedsReceiver().poll("")
    assert [body.content for body in bodies] == [BLOG]
    assert await FeedsReceiver().poll(mark) == ([], mark)
    monkeypatch.setattr("passaparola.channels.feeds.POLL_INTERVAL_SECONDS", -1)
    again, _ = await FeedsReceiver().poll(mark)
    assert list(again) == []
    assert [call.path for call in site.calls] == ["/blog", "/gone", "/gone", "/blog", "/gone"]


def test_who_says_our_words_has_mentioned_us(site: Site) -> None:
    (one,) = FeedsReceiver().parse({":url": site.url}, BLOG).events
    assert (one.kind, one.addresses) == ("mentioned", {"blog": "cucina.example"})
    assert one.text is not None
    assert "Mai mangiato un miele così buono" in one.text.text
    assert one.text.external_id == "https://cucina.example/miele"


def test_a_video_is_by_its_channel(site: Site) -> None:
    (one,) = FeedsReceiver().parse({}, YOUTUBE).events
    assert (one.medium, one.addresses) == ("youtube", {"youtube": "UC42"})


async def test_a_page_that_leads_to_another_site_is_not_followed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSAPAROLA_FEEDS", f"{site.url}/moved")
    assert len((await FeedsReceiver().poll(""))[0]) == 1
    monkeypatch.setenv("PASSAPAROLA_FEEDS", f"{site.url}/away")
    with pytest.raises(Unavailable, match="another site"):
        await FeedsReceiver().poll("")


async def test_a_house_without_words_listens_to_nothing(settings: Settings) -> None:
    with pytest.raises(Misconfigured, match="BRAND_WORDS"):
        await FeedsReceiver().poll("")
    assert NOBODY


def test_a_body_that_is_the_name_of_a_file_opens_none(site: Site, tmp_path: Path) -> None:
    ours = tmp_path / "feed.xml"
    ours.write_bytes(BLOG)
    with pytest.raises(ValueError, match="not a feed"):
        FeedsReceiver().parse({}, str(ours).encode())
