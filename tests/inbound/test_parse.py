"""No letter stops the house: it is read before anything is locked, in bounds and against a clock, and set aside after one failure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as quick
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from passaparola.channel import inbound_email
from passaparola.channel.inbound_email import parse_email
from passaparola.inbound import parse, pipeline
from passaparola.inbound import store as inbound_store
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Conversation, Event, RawBody
from tests import slow_reader
from tests.conftest import NOW
from tests.people import SECRET, add
from tests.providers import letter

EMPTY_LINES = "ciao\n" + "\n" * 16_000 + "x\n"


def posted(store: Store, number: int, body: bytes) -> None:
    with store.write() as session:
        inbound_store.store_body(session, inbound_store.NewBody("mail", f"letter {number}", {}, body, NOW, urgent=True))


@pytest.mark.parametrize(
    "words",
    [EMPTY_LINES, "ciao\n" + "\t\n" * 8_000 + "x", "ciao\n" + "\u00a0\n" * 5_000 + "x", "ciao\n" + " \r\n" * 16_000 + "x", "On " * 6_000,
     "On x wrote " * 2_000, "Il giorno " * 2_000, "ciao " + " " * 20_000 + "x", "> \n" * 9_000, "\n\n\nx" * 4_000, "-- \n" * 5_000],
)  # fmt: skip
def test_letters_of_many_lines_are_read_in_bounds(words: str) -> None:
    [found] = parse_email(letter(words), [], SECRET).events
    assert found.text is not None
    assert len(found.text.text) <= inbound_email.MAX_TEXT_CHARS
    assert words[:4].strip(" >\n-") in found.text.text


@quick(max_examples=60, deadline=None)
@given(st.text(alphabet="aò .:>-_\n\r\t\u00a0", max_size=3_000))
def test_what_is_prepared_for_the_reply_parser_loses_no_word(words: str) -> None:
    ready = inbound_email._prepare_for_parser(words)
    unfolded = ready.replace(inbound_email.FOLD, "")
    assert unfolded.split() == words.replace("\x00", "").split()
    assert "\n\n\n\n" not in ready
    assert all(len(line) <= inbound_email.MAX_LINE_CHARS + 2 for line in ready.split("\n"))


def test_a_paragraph_that_is_one_long_line_arrives_whole() -> None:
    words = "Buongiorno, " + "il miele era buonissimo " * 300 + "grazie"
    [found] = parse_email(letter(words), [], SECRET).events
    assert found.text is not None
    assert found.text.text == words


@pytest.mark.parametrize(
    "field", ["To: " + ", ".join(f"a{n}@example.org" for n in range(60_000)), "References: " + " ".join(f"<{n}@x>" for n in range(90_000)),
              "Subject: " + "=?utf-8?q?a?= " * 60_000, "X-Long: " + "x" * 900_000, "\r\n".join(f"X-{n}: y" for n in range(50_000))],
)  # fmt: skip
def test_headers_of_a_megabyte_are_cut(field: str) -> None:
    folded = field.replace(", ", ",\r\n ").replace("> <", ">\r\n <").replace("?= ", "?=\r\n ")
    body = f"From: alice@example.org\r\nMessage-ID: <1@x>\r\n{folded}\r\n\r\nCiao\r\n".encode()
    [found] = parse_email(body, [], SECRET).events
    assert found.text is not None
    assert found.text.text == "Ciao"


def test_a_letter_is_read_while_nothing_is_locked(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = parse.parse_raw

    def and_somebody_writes(row: RawBody) -> Any:
        with store.write() as session:
            add(session, f"Reader{len(seen)}", NOW)
        seen.append(row.id)
        return read(row)

    seen: list[int | None] = []
    monkeypatch.setattr(parse, "parse_raw", and_somebody_writes)
    with store.write() as session:
        add(session, "Alice", NOW)
    posted(store, 1, letter(EMPTY_LINES))
    pipeline.apply_inbound(store, settings, NOW)
    assert seen
    with store.read() as session:
        assert session.execute(select(col(RawBody.state))).scalar_one() == "applied"


@pytest.mark.parametrize(
    ("reader", "problem"), [(slow_reader.never_ends, "it took longer than"), (slow_reader.dies, "its reader ended")]
)
def test_a_letter_that_cannot_be_read_is_set_aside_and_the_next_one_is_heard(
    reader: Any, problem: str, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.write() as session:
        add(session, "Alice", NOW)
    posted(store, 1, letter("Ciao"))
    with monkeypatch.context() as bad:
        bad.setattr(parse, "_parse_there", reader)
        bad.setattr(parse, "DEADLINE_SECONDS", 0.2)
        pipeline.apply_inbound(store, settings, NOW)
    with store.read() as session:
        row = session.execute(select(RawBody)).scalar_one()
        assert (row.state, row.urgent) == ("invalid", False)
        assert problem in row.problem
    posted(store, 2, letter("Dov'è il mio pacco?", name="<2@example.org>"))
    pipeline.apply_inbound(store, settings, NOW)
    with store.read() as session:
        assert [state for (state,) in session.execute(select(col(RawBody.state)).order_by(col(RawBody.id)))] == [
            "invalid",
            "applied",
        ]
        assert session.execute(select(Conversation)).scalar_one().kind == "question"
        assert session.execute(select(col(Event.kind))).scalar_one() == "replied"
