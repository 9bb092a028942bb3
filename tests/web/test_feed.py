"""The feed: what was posted stands in it once, it is what RFC 4287 asks for, and whoever has it is not sent it again."""

from collections.abc import Iterator

import feedparser
import pytest
from lxml import etree

from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from tests.conftest import NOW
from tests.outbox.test_guards import drained, released
from tests.people import add
from tests.web.test_links import TestClient

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def web(store: Store, settings: Settings) -> Iterator[TestClient]:
    from passaparola.web import link_context
    from passaparola.web.app import app

    link_context.store.cache_clear()
    campaign = settings.home / "campaigns" / "hello.yaml"
    campaign.write_text(campaign.read_text().replace("by: [email]", "by: [email, rss]"))
    folder = settings.home / "templates" / "hello"
    (folder / "box.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    (folder / "rss.txt").write_text(
        "---\nmedia:\n  - file: box.png\n    alt: A box & a “jar”\n---\nHoney <b>& oil</b>. Come & see.\n\nhttps://shop.example/honey?a=1&b=2\n"
    )
    with store.write() as session:
        add(session, "Alice", NOW)
    released(store, settings)
    drained(store, settings)
    with TestClient(app, follow_redirects=False) as client:
        yield client
    link_context.store().close()
    link_context.store.cache_clear()


def test_a_reader_of_feeds_finds_the_post(web: TestClient) -> None:
    found = feedparser.parse(web.get("/feed.xml").content)
    assert not found.bozo
    (entry,) = found.entries
    assert entry.title == "Honey <b>& oil</b>."
    assert entry.link.startswith("https://shop.example/honey?a=1&b=2&utm_source=rss")
    assert entry.id.startswith("tag:shop.example,2026-")
    assert (entry.enclosures[0].type, entry.enclosures[0].length) == ("image/png", "108")


def test_it_is_what_the_standard_asks_for(web: TestClient) -> None:
    """RFC 4287, 4.1: what must be there, once each; and no words of ours become markup."""
    answer = web.get("/feed.xml")
    assert answer.headers["content-type"].startswith("application/atom+xml")
    feed = etree.fromstring(answer.content)
    for element, needed in (
        (feed, ("id", "title", "updated")),
        (feed.find(f"{ATOM}entry"), ("id", "title", "updated", "published")),
    ):
        assert element is not None
        for name in needed:
            assert len(element.findall(ATOM + name)) == 1, name
    assert feed.find(f"{ATOM}author/{ATOM}name") is not None
    assert [link.get("rel") for link in feed.findall(f"{ATOM}link")] == ["self", "alternate"]
    content = feed.find(f"{ATOM}entry/{ATOM}content")
    assert content is not None
    assert content.get("type") == "html"
    assert "&lt;b&gt;&amp; oil" in (content.text or "")
    ids = [one.text for one in feed.iter(f"{ATOM}id")]
    assert len(ids) == len(set(ids))


def test_who_has_it_is_not_sent_it_again(web: TestClient) -> None:
    first = web.get("/feed.xml")
    for known in ({"If-None-Match": first.headers["etag"]}, {"If-Modified-Since": first.headers["last-modified"]}):
        again = web.get("/feed.xml", headers=known)
        assert (again.status_code, again.content) == (304, b"")
    assert web.get("/feed.xml", headers={"If-None-Match": '"other"'}).status_code == 200
    assert web.head("/feed.xml").headers["etag"] == first.headers["etag"]


def test_its_pictures_are_there_and_nothing_else_of_the_house(web: TestClient) -> None:
    assert web.get("/feed/1/0/0").headers["content-type"] == "image/png"
    for wrong in ("/feed/1/0/1", "/feed/1/9/0", "/feed/2/0/0", "/feed/1/0/-1"):
        assert web.get(wrong).status_code in (404, 422), wrong
    assert utc_now() > NOW


def test_a_feed_without_posts_is_a_feed(store: Store, settings: Settings) -> None:
    from passaparola.web import link_context
    from passaparola.web.app import app

    link_context.store.cache_clear()
    with TestClient(app) as client:
        found = feedparser.parse(client.get("/feed.xml").content)
    link_context.store().close()
    link_context.store.cache_clear()
    assert not found.bozo
    assert found.entries == []
