"""Letters that come in: whose words are whose, what is a bounce, a complaint or a no, and what only looks like one."""

import pytest

from passaparola.channel.inbound_email import parse_email
from passaparola.channel.message_ids import envelope_sender, sign_message_id
from passaparola.channel.receiver import InboundEvent
from tests.providers import form, letter, report

SECRET = "a secret of the tests"
OURS = f"<{sign_message_id(SECRET, '7-0-email')}.passaparola@bottega.example>"
FORGED = "<7-0-email.000000000000.passaparola@bottega.example>"


def one(raw: bytes, *to: str) -> InboundEvent:
    (found,) = parse_email(raw, to, SECRET).events
    return found


QUOTED = {
    "gmail, Italian": "Il miele è finito?\n\nIl giorno gio 23 apr 2026 alle ore 10:12 Bottega <ciao@bottega.example> ha scritto:\n> La primavera\n> è arrivata",
    "outlook, Italian": "Il miele è finito?\n\n________________________________\nDa: Bottega <ciao@bottega.example>\nInviato: giovedì 23 aprile 2026 10:12\nA: Alice\nOggetto: Primavera\n\nLa primavera",
    "iphone, Italian": "Il miele è finito?\n\nInviato da iPhone\n\n> Il giorno 23 apr 2026, alle ore 10:12, Bottega <ciao@bottega.example> ha scritto:\n> \n> La primavera",
    "gmail, English": "Il miele è finito?\n\nOn Thu, Apr 23, 2026 at 10:12 AM Bottega <ciao@bottega.example> wrote:\n> Spring",
}


@pytest.mark.parametrize("program", QUOTED)
def test_only_their_own_words_are_theirs(program: str) -> None:
    found = one(letter(QUOTED[program], answers=OURS))
    assert found.text is not None
    assert found.text.text == "Il miele è finito?"
    assert (found.kind, found.message, found.addresses) == ("replied", "7-0-email", {"email": "alice@example.org"})


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252"])
def test_every_charset_is_read(charset: str) -> None:
    found = one(letter("Perché così? È già finito.", charset=charset))
    assert found.text is not None
    assert found.text.text == "Perché così? È già finito."


def test_an_unknown_charset_and_a_broken_letter_are_read_as_far_as_they_go() -> None:
    raw = letter("ciao").replace(b'charset="utf-8"', b'charset="klingon-1"')
    assert one(raw).text is not None
    assert one(b"From: a@example.org\nContent-Type: multipart/mixed; boundary=nowhere\n\n\xff\xfe no").text is not None
    with pytest.raises(ValueError, match="who wrote it"):
        parse_email(b"Subject: x\n\nhello", [], SECRET)


def test_html_becomes_text_and_runs_nowhere() -> None:
    found = one(letter("<p>Ciao <b>a tutti</b></p><script>alert(1)</script><img src=x onerror=alert(2)>", html=True))
    assert found.text is not None
    assert "Ciao a tutti" in found.text.text
    assert "alert" not in found.text.text


def test_a_thread_is_believed_only_by_its_signature() -> None:
    assert one(letter("ciao", answers=OURS)).message == "7-0-email"
    assert one(letter("ciao", answers=FORGED)).message == ""


@pytest.mark.parametrize(
    "headers",
    [{"Auto_Submitted": "auto-replied"}, {"X_Autoreply": "yes"}, {"Precedence": "bulk"}, {"subject": "Risposta automatica: Primavera"},
     {"subject": "Out of office: Spring"}, {"sender": "noreply@example.org"}, {"List_Id": "<a.list>"}],
    ids=str,
)  # fmt: skip
def test_a_machines_answer_is_automatic_and_is_no_unsubscribe(headers: dict[str, str]) -> None:
    found = one(letter("unsubscribe", **headers))
    assert found.kind == "replied"
    assert found.text is not None
    assert found.text.automatic


@pytest.mark.parametrize("words", ["STOP", "unsubscribe", "Cancellami!", " basta. "])
def test_a_letter_that_says_nothing_but_no_is_a_no(words: str) -> None:
    assert one(letter(words)).kind == "unsubscribed"
    assert one(letter("Please do not stop sending recipes")).kind == "replied"


def test_the_mailto_of_our_own_header_is_a_no_to_that_letter() -> None:
    found = one(letter("", subject=f"unsubscribe {sign_message_id(SECRET, '7-0-email')}"))
    assert (found.kind, found.message) == ("unsubscribed", "7-0-email")
    assert one(letter("hello", subject="unsubscribe 7-0-email.000000000000")).kind == "replied"


@pytest.mark.parametrize(
    ("status", "action", "kind", "bounce", "counts"),
    [("5.1.1", "failed", "bounced", "hard", True), ("5.2.1", "failed", "bounced", "hard", True), ("5.2.2", "failed", "bounced", "soft", True),
     ("5.7.1", "failed", "bounced", "soft", False), ("5.3.4", "failed", "bounced", "soft", False), ("4.4.1", "delayed", "deferred", None, None)],
)  # fmt: skip
def test_a_delivery_status_says_how_bad_it_is(
    status: str, action: str, kind: str, bounce: str | None, counts: bool | None
) -> None:
    found = one(report("dsn", "alice@example.org", OURS, status=status, action=action))
    assert (found.kind, found.message) == (kind, "7-0-email")
    assert (found.properties.get("bounce"), found.properties.get("counts")) == (bounce, counts)


def test_a_bounce_is_known_by_the_envelope_it_came_back_to() -> None:
    to = envelope_sender("bounce@bottega.example", SECRET, "9-1-email")
    assert one(report("dsn", "alice@example.org", "<x@y>", to=to)).message == "9-1-email"
    forged = report("dsn", "alice@example.org", "<x@y>", to="bounce+9-1-email.000000000000@bottega.example")
    assert not parse_email(forged, [], SECRET).events


def test_a_complaint_names_the_letter_that_earned_it() -> None:
    found = one(report("arf", "alice@example.org", OURS))
    assert (found.kind, found.message, found.addresses) == ("complained", "7-0-email", {"email": "alice@example.org"})


def test_inbound_parse_raw_or_in_parts_is_the_same_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    from passaparola import settings as module
    from passaparola.channels.sendgrid_inbound import SendgridInboundReceiver

    monkeypatch.setenv("PASSAPAROLA_SECRET_KEY", SECRET)
    module.get_settings.cache_clear()
    kind, body = form(letter("Dov'è il mio pacco?", answers=OURS))
    (raw,) = SendgridInboundReceiver().parse({"content-type": kind}, body).events
    fields = {
        "headers": letter("x", answers=OURS).partition(b"\n\n")[0].decode(),
        "text": "Dov'è il mio pacco?",
        "charsets": '{"text":"utf-8"}',
    }
    parts = (
        "".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
        )
        + "--b--\r\n"
    )
    (apart,) = (
        SendgridInboundReceiver().parse({"content-type": "multipart/form-data; boundary=b"}, parts.encode()).events
    )
    for found in (raw, apart):
        assert found.text is not None
        assert (found.text.text, found.message, found.text.subject) == (
            "Dov'è il mio pacco?",
            "7-0-email",
            "Re: Spring",
        )
    module.get_settings.cache_clear()


def test_a_form_of_ten_thousand_parts_is_refused() -> None:
    from passaparola.channels.sendgrid_inbound import SendgridInboundReceiver

    body = (
        b"".join(b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n' % n for n in range(10_000))
        + b"--b--\r\n"
    )
    with pytest.raises(ValueError, match="parts"):
        SendgridInboundReceiver().parse({"content-type": "multipart/form-data; boundary=b"}, body)
