"""An answer reaches the customer as it was typed: its lines, its addresses, and once."""

import email
import email.policy
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import func, select

from passaparola.outbox import answer
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Launch, Turn
from tests.conftest import NOW
from tests.conversations.test_threads import speak
from tests.outbox.test_guards import drained
from tests.people import add

TYPED = "Cara Alice,\n\nil pacco:\n  - miele\n  - sapone  (due)\n\n\nEcco: https://shop.example/p?id=7&size=M.\nMarta"


class Lines(HTMLParser):
    """A letter's words as a reader sees them: a line for each paragraph and each <br>."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.lines, self.links, self.inside = [""], {}, ""
        self.feed(html.partition("<body")[2])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("br", "div", "td"):
            self.lines.append("")
        if tag == "a":
            self.inside = dict(attrs).get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.links[data] = self.inside
        self.lines[-1] += data


def letters(settings: Settings) -> list[tuple[str, Lines]]:
    found = []
    for path in sorted((settings.var / "mailbox" / "email" / "new").iterdir()):
        mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        found.append((parts["text/plain"], Lines(parts["text/html"])))
    return found


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r", "\u2028"])
def test_an_answer_keeps_its_lines_whatever_ends_them(ends: str, store: Store, settings: Settings) -> None:
    with store.write() as session:
        one = speak(session, settings, add(session, "Alice", NOW), "Dov'è il pacco?")
        assert one is not None
        answer.send_answer(session, settings, one.id or 0, TYPED.replace("\n", ends), actor="marta", now=NOW)
        kept = session.execute(select(Turn.text).where(Turn.author != "")).scalar_one()  # type: ignore[call-overload]
    drained(store, settings)
    [(text, page)] = letters(settings)
    assert kept == TYPED
    assert text.replace("\r\n", "\n").startswith(TYPED + "\n\nmarta\n")
    seen = [line.replace("\u00a0", " ").rstrip() for line in page.lines if line.strip()]
    wanted = [line for line in TYPED.splitlines() if line]
    assert seen[seen.index("Cara Alice,") :][: len(wanted)] == wanted
    assert page.links["https://shop.example/p?id=7&size=M"] == "https://shop.example/p?id=7&size=M"


@pytest.mark.parametrize(
    ("words", "links"),
    [
        ("Write to help@shop.example, or see www.shop.example/faq!", {"help@shop.example": "mailto:help@shop.example", "www.shop.example/faq": "http://www.shop.example/faq"}),
        ("See https://it.wikipedia.org/wiki/Ape_(insetto).", {"https://it.wikipedia.org/wiki/Ape_(insetto)": "https://it.wikipedia.org/wiki/Ape_(insetto)"}),
        ("Grazie.Se vuole, a domani.La aspettiamo", {}),
        ('<a href="https://evil.example">no</a> javascript:alert(1)', {"https://evil.example": "https://evil.example"}),
    ],
)  # fmt: skip
def test_addresses_are_links_and_other_words_are_not(words: str, links: dict[str, str]) -> None:
    pieces = [piece for paragraph in answer.split_paragraphs(answer.normalise_lines(words)) for piece in paragraph]
    found = {piece["text"]: piece["url"] for piece in pieces if "url" in piece}
    assert found == links
    assert "".join(piece["text"] for piece in pieces) == words


def test_two_quick_posts_of_the_form_send_one_answer(store: Store, settings: Settings) -> None:
    with store.write() as session:
        alice = add(session, "Alice", NOW)
        one = speak(session, settings, alice, "Dov'è il pacco?")
        assert one is not None
        assert one.id is not None
        first = answer.send_answer(session, settings, one.id, "Arriva.\r\nMarta", actor="marta", now=NOW)
    with store.write() as session:
        assert answer.send_answer(session, settings, one.id, "Arriva.\nMarta", actor="marta", now=NOW) == first
        assert session.execute(select(func.count()).select_from(Launch)).scalar_one() == 1
    with store.write() as session:  # said again after they spoke, it is an answer of its own
        speak(session, settings, alice, "E il secondo?")
        assert answer.send_answer(session, settings, one.id, "Arriva.\nMarta", actor="marta", now=NOW) != first


def test_a_house_that_has_no_words_of_its_own_has_ours() -> None:
    shipped = Path(__file__).parents[2] / "templates" / "_house" / "answer"
    assert {"email.mjml", "email.txt", "email.it.mjml", "email.it.txt"} <= {path.name for path in shipped.iterdir()}
