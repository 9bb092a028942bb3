"""A no stays a no, whoever's export it stands in; and a file of Windows is read as what it is."""

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col

from passaparola.contacts.imports.refusals import is_opt_out_cell
from passaparola.contacts.imports.tables import _encoding, open_table
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Address, Consent, Contact
from tests.contacts.test_imports import imported

NOES = [
    ("Email Marketing Consent", "UNSUBSCRIBED"), ("Email Marketing Consent", "NEVER_SUBSCRIBED"), ("Email Suppressions", "UNSUBSCRIBED"), ("Accepts Email Marketing", "no"),
    ("Accepts Marketing", "FALSE"), ("Unsubscribed from all email", "true"), ("Marketing contact status", "Non-marketing contact"), ("Email Opt Out", "1"), ("Opt-out", "yes"),
    ("Has opted out of email", "TRUE"), ("UNSUB_TIME", "2024-01-02 08:00:00"), ("Status", "Unsubscribed"), ("Status", "opt-out"),
    ("Subscribed", "N"), ("Newsletter", "No"), ("Consenso newsletter", "No"), ("Stato", "Disiscritto"), ("Stato", "Cancellata"), ("Iscritto", "no"), ("Consenso marketing", "0"),
    ("MEMBER STATUS", "cleaned"), ("Email status", "Hard bounced"), ("Do not email", "x"), ("Note", "opted out"), ("Opt In", "false"), ("Data disiscrizione", "14/03/2024"), ("Consenso alla ricezione di posta elettronica", "no"),
    ("Consent to email at signup", "no"), ("Email marketing consent", "denied"), ("Subscription status", "not opted in"),
]  # fmt: skip
NO_NOES = [
    ("Email Marketing Consent", "SUBSCRIBED"), ("Email Marketing Consent", ""), ("Accepts Email Marketing", "yes"), ("Accepts SMS Marketing", "no"), ("SMS opt out", "true"),
    ("Unsubscribed from all email", "false"), ("Unsubscribed from all email", "(No value)"), ("Tax Exempt", "no"), ("Opt-out", "no"), ("Email Suppressions", ""), ("Stato", "Attivo"),
    ("vip", "no"), ("OPTIN_TIME", "2024-03-14 09:12:31"), ("Consent source", "none"), ("Città", "No"), ("Newsletter", "Sì"), ("Consenso newsletter", "Sì"), ("Total Orders", "0"),
    ("Phone consent", "no"), ("Note", "no sugar"), ("Marketing contact status", "Marketing contact"), ("UNSUB_TIME", ""), ("Consenso telefono", "no"),
]  # fmt: skip


@pytest.mark.parametrize(("header", "cell"), NOES)
def test_a_no_is_known_in_every_tool_s_words(header: str, cell: str) -> None:
    assert is_opt_out_cell(header, "custom", cell)


@pytest.mark.parametrize(("header", "cell"), NO_NOES)
def test_what_is_no_no_is_taken_for_none(header: str, cell: str) -> None:
    assert not is_opt_out_cell(header, "custom", cell)


def test_a_name_that_sounds_like_a_no_is_a_name() -> None:
    assert not is_opt_out_cell("First Name", "first_name", "Blocked")


@pytest.mark.parametrize(
    ("header", "no", "yes"),
    [
        ("Email Marketing Consent", "UNSUBSCRIBED", "SUBSCRIBED"),
        ("Accepts Email Marketing", "no", "yes"),
        ("Unsubscribed from all email", "true", ""),
    ],
)
def test_a_row_that_says_no_gets_no_yes_whatever_is_said_for_all(
    header: str, no: str, yes: str, store: Store, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "export.csv"
    path.write_text(
        f"Email,First Name,{header},consent\nanna@example.org,Anna,{yes},\nben@example.org,Ben,{no},\ncarla@example.org,Carla,{no},newsletter\n"
        f"BEN@example.org,Ben,{yes},\n"
    )
    tally = imported(store, settings, path, topics=("newsletter",), source="an old list")
    assert (tally.rows, tally.rejected, tally.refused, tally.consents) == (4, 0, 2, 1)
    with store.read() as session:
        allowed = (
            select(col(Contact.first_name))
            .join(Consent, col(Consent.contact_id) == col(Contact.id))
            .where(col(Consent.granted))
        )
        assert list(session.execute(allowed).scalars()) == ["Anna"]
        assert len(list(session.execute(select(Address)))) == 3


WESTERN = [
    "Email;Nome;Città\nanna@example.org;Niccolò;Forlì\nben@example.org;Zoë;Köln\n", "email,nome\na@example.org,Niccolò\n", "nome;citta\nPerché;Cantù\nÈ;Però\nDon’t – “x”;10 €\n",
    "name,city\nJosé Peña,Málaga\nÅsa Öberg,Malmö\nÇelik,Orléans\nœuvre,Nîmes\n", "nome,nota\nNiccolò,“già” l’ho detto…\n", "email;nome\na@example.org;Mosè\n",
]  # fmt: skip


@pytest.mark.parametrize("text", WESTERN)
@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read_as_what_it_is(text: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(text.encode(encoding))
    with open_table(path) as table:
        read = [table.header, *(row.cells for row in table.rows)]
    delimiter = ";" if ";" in text else ","
    assert read == [line.split(delimiter) for line in text.splitlines()]


def test_other_languages_keep_their_own_encodings() -> None:
    for text, encoding in (
        ("imie;miasto\nŁukasz;Łódź\nGrażyna;Kraków\nPaweł;Gdańsk\n", "cp1250"),
        ("имя;город\nАнна;Москва\nИван;Новосибирск\n" * 5, "cp1251"),
    ):
        raw = text.encode(encoding)
        assert raw.decode(_encoding(raw)) == text
