"""Letters as bytes: the standard library reads back exactly what was said, and no value becomes a second header."""

import email
import email.policy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given as given_
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from passaparola.channel.message_ids import find_signed_id
from passaparola.channel.mime import MimeBuilder, format_address, header_value
from passaparola.channel.sender import Part, Skeleton
from passaparola.settings import get_settings
from tests.channels.test_contract import dispatch

texts = st.text(alphabet="aé=.\n\t <>&%😀\u2028-", max_size=200)


def parsed(raw: bytes) -> Any:
    return email.message_from_bytes(raw, policy=email.policy.default)


@hypothesis_settings(max_examples=200, deadline=None)
@given_(st.lists(texts, min_size=3, max_size=3), st.lists(texts, min_size=2, max_size=2))
def test_what_is_read_is_what_was_filled_in(statics: list[str], values: list[str]) -> None:
    part = Part(tuple(statics), (0, 1))
    skeleton = Skeleton({"subject": Part(("s",)), "text": part, "html": part})
    given = dispatch("email", people=1, skeleton=skeleton)
    message = replace(given.messages[0], values=(*values, ""))
    raw = MimeBuilder(given).build(message)
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert not [line for line in raw.split(b"\r\n") if line.startswith(b".")]  # SMTP would double it
    body = raw.partition(b"\r\n\r\n")[2]
    assert max(len(line) for line in body.split(b"\r\n")) <= 76
    read = parsed(raw)
    for kind in ("plain", "html"):
        body = read.get_body((kind,)).get_payload(decode=True).decode()
        assert body.replace("\r\n", "\n") == part.fill(values).replace("\r\n", "\n").replace("\r", "\n")


INJECTIONS = [
    "a\r\nBcc: x@y.example", "a\nBcc: x@y.example", "a\rBcc: x", "a\x00b", "a\u0085Bcc: x", "a\u2028Bcc: x", "a\x0bb",
]  # fmt: skip


@pytest.mark.parametrize("value", INJECTIONS)
def test_a_line_break_in_a_header_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        header_value(value)
    with pytest.raises(ValueError, match="line break"):
        format_address(value, "x@y.example")


@pytest.mark.parametrize(
    "value", ["=?utf-8?q?a=0ABcc:_x@y?=", "=?utf-8?b?YQpCY2M6IHg=?=", "Ciao =?x", "è" * 200, ")bob@evil", "x" * 800]
)
def test_an_encoded_word_of_a_contact_is_text_and_never_a_header(value: str) -> None:
    given = dispatch("email", people=1)
    message = replace(given.messages[0], values=(value, "l", "h"), name=value[:40])
    raw = MimeBuilder(given).build(message)
    read = parsed(raw)
    names = [name.lower() for name, _ in read.items()]
    assert sorted(set(names)) == sorted(names)
    assert "bcc" not in names
    assert read["subject"] == f"Hello {value}"
    assert len(read["to"].addresses) == 1
    assert read["to"].addresses[0].addr_spec == "reader0@example.org"


def test_the_one_click_link_is_never_folded_or_encoded() -> None:
    raw = MimeBuilder(dispatch("email", people=1)).build(dispatch("email", people=1).messages[0])
    line = next(line for line in raw.split(b"\r\n") if line.startswith(b"List-Unsubscribe:"))
    assert line == b"List-Unsubscribe: <https://shop.example/u/" + b"t" * 200 + b"0>"
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in raw


def test_our_message_id_is_the_ledgers_identity() -> None:
    letter = MimeBuilder(dispatch("email", people=1))
    name = letter.message_id(dispatch("email").messages[2])
    assert name.startswith("<2-0-email.")
    assert name.endswith(".passaparola@bottega.example>")
    assert find_signed_id(get_settings().secret, name) == "2-0-email"
