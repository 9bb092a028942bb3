"""People's files: whatever wrote them, the rows that can be taken are, the others are listed with line and reason."""

import csv
from pathlib import Path

import pytest
import xlsxwriter
from sqlalchemy import func, select
from sqlmodel import col

from passaparola.contacts import audience, consent
from passaparola.contacts.addresses import normalise_address
from passaparola.contacts.audience import Question
from passaparola.contacts.imports.columns import ColumnMapping, guess_columns
from passaparola.contacts.imports.importing import Import
from passaparola.contacts.imports.plan import ImportTally
from passaparola.contacts.imports.tables import neutralise_cell, open_table
from passaparola.errors import BadContent
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Address, Audit, Consent, Contact, Event, Proposal
from tests.conftest import NOW


def imported(store: Store, settings: Settings, path: Path, **how: object) -> ImportTally:
    with open_table(path) as table:
        mapping = ColumnMapping(columns=guess_columns(table.header))
    return Import(store, settings, path, mapping, **how).run(NOW)  # type: ignore[arg-type]


def rejects(path: Path) -> list[list[str]]:
    with path.with_name(f"{path.stem}.rejects.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


HEADS = "Email;Nome;Cognome;Paese;Lingua;Consenso;NPS\n"
ROWS = "anna@example.org;Anna;Bianchi;Italia;it;newsletter;9\nzoe@example.org;Zoë;Weiß;Germania;en;;\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_any_common_encoding_and_delimiter_is_read(
    store: Store, settings: Settings, tmp_path: Path, encoding: str, delimiter: str
) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes((HEADS + ROWS * 1).replace(";", delimiter).encode(encoding))
    assert imported(store, settings, path).new == 2
    with store.read() as session:
        zoe = session.execute(select(Contact).where(col(Contact.country) == "DE")).scalar_one()
        assert (zoe.first_name, zoe.last_name, zoe.language) == ("Zoë", "Weiß", "en")


def test_the_same_file_again_changes_nothing(store: Store, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(HEADS + ROWS)
    imported(store, settings, path)
    with store.read() as session:
        before = [
            session.execute(select(func.count()).select_from(t)).scalar_one()
            for t in (Contact, Address, Consent, Event)
        ]
    again = imported(store, settings, path)
    assert (again.new, again.changed, again.unchanged, again.consents) == (0, 0, 2, 0)
    with store.read() as session:
        assert [
            session.execute(select(func.count()).select_from(t)).scalar_one()
            for t in (Contact, Address, Consent, Event)
        ] == before


def test_an_old_file_does_not_undo_a_no(store: Store, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(HEADS + ROWS)
    imported(store, settings, path)
    with store.write() as session:
        consent.record(session, 1, "email", "newsletter", False, at=NOW, source="unsubscribe link")
    imported(store, settings, path)
    with store.read() as session:
        assert not consent.may_be_written_to(session, 1, "email", "newsletter")


def test_a_yes_that_is_dated_in_the_future_is_refused_and_a_no_always_is_the_latest(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        "email,consent,consent date\na@example.org,newsletter,2027-01-01\nb@example.org,newsletter,2026-04-20\n"
    )
    tally = imported(store, settings, path)
    assert (tally.new, tally.rejected) == (1, 1)
    with store.write() as session:
        assert consent.record(
            session, 1, "email", "newsletter", False, at=NOW.replace(year=2020), source="a clock that is wrong"
        )
        assert not consent.may_be_written_to(session, 1, "email", "newsletter")


def test_a_no_before_anyone_asked_is_remembered(store: Store, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("email\na@example.org\n")
    imported(store, settings, path)
    with store.write() as session:
        assert consent.record(session, 1, "email", "newsletter", False, at=NOW, source="by phone")
    imported(store, settings, path, topics=("newsletter",), source="an old list")
    with store.read() as session:
        assert not consent.may_be_written_to(session, 1, "email", "newsletter")


def test_a_file_without_a_header_is_said_to_be_one(store: Store, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("ada@example.org,Ada\nben@example.org,Ben\n")
    with pytest.raises(BadContent, match="must name the columns"):
        imported(store, settings, path)


def test_consent_is_never_assumed(store: Store, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("email\nanna@example.org\n")
    imported(store, settings, path)
    with store.read() as session:
        assert session.execute(select(Consent)).first() is None
    assert imported(store, settings, path, topics=("newsletter",), source="fair in Turin, paper forms").consents == 1
    with store.read() as session:
        row = session.execute(select(Consent)).scalar_one()
        assert (row.source, row.proof["line"]) == ("fair in Turin, paper forms", 2)


def test_an_import_that_dies_is_finished_by_starting_it_again(store: Store, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("email\n" + "".join(f"p{n}@example.org\n" for n in range(5_000)))
    with open_table(path) as table:
        plan = Import(store, settings, path, ColumnMapping(columns=guess_columns(table.header)))

    def dies(rows: int, at: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan.run(NOW, dies)
    tally = imported(store, settings, path)
    assert (tally.new, tally.unchanged) == (3_000, 2_000)
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Contact)).scalar_one() == 5_000


BAD = [
    ("not-an-address;A;B;IT;it;;", "email"),
    ("a@example.org;A;B;Narnia;it;;", "not a country"),
    ("a@example.org;A;B;IT;klingonese;;", "not a language"),
    ("a@example.org;A;B;IT;it;yes;", "names no topic"),
    (";A;B;IT;it;;", "no address"),
    ("a@example.org;A;B;IT;it;;;;", "is a quote missing"),
    ("a\tb@example.org;A;B;IT;it;;", "control characters"),
    ("late@example.org;A;B;IT;it;;lots", "not a number"),
    ('q@example.org;"Carl\nc2@example.org;Dan;B";X;IT;it;;', "is a quote missing"),
]


def test_rows_that_cannot_be_taken_never_stop_the_rest(store: Store, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    good = "".join(f"p{n}@example.org;P;Q;IT;it;newsletter;{n % 11}\n" for n in range(2_500))
    path.write_text(HEADS + good + "\n".join(row for row, _ in BAD) + "\nlast@example.org;L;L;IT;it;;3\n")
    tally = imported(store, settings, path)
    assert (tally.rows, tally.new, tally.rejected) == (2_501 + len(BAD), 2_501, len(BAD))
    for number, (line, said, (_, expected)) in enumerate(
        zip([r[0] for r in rejects(path)], [r[1] for r in rejects(path)], BAD, strict=True)
    ):
        assert int(line) == 2_502 + number
        assert expected in said


def test_an_unclosed_quote_and_bytes_of_another_encoding_are_bounded(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    good = "".join(f"p{n}@example.org,Zoë{n}\n" for n in range(500)).encode()
    path.write_bytes(
        b"email,first_name\n"
        + good
        + b"caf\xe9@example.org,Ren\xe9\n"
        + b'q@example.org,"never closed\n'
        + b"x" * 200_000
        + b"\nz@example.org,Z\n"
    )
    tally = imported(store, settings, path)
    assert tally.new >= 500
    assert tally.rejected >= 2
    assert tally.rows == tally.new + tally.changed + tally.unchanged + tally.rejected


def test_workbooks_are_read_too(store: Store, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "people.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["E-mail", "First name", "Points"])
        sheet.write_row(1, 0, ["anna@example.org", "Anna", 12])
    assert imported(store, settings, path).new == 1
    with store.read() as session:
        assert session.execute(select(Contact.traits)).scalar_one() == {"points": 12.0}


def test_purchases_make_people_and_are_counted_once(store: Store, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(
        'email,order id,order date,total,currency,items\na@example.org,1,2026-03-01T10:00,"1.234,50",EUR,Honey; Oil\na@example.org,2,21/04/2026,12.5,EUR,\nb@example.org,3,,9,EUR,\n'
    )
    tally = imported(store, settings, path)
    assert (tally.new, tally.purchases, tally.rejected) == (1, 2, 1)
    imported(store, settings, path)
    with store.read() as session:
        words = audience.load_catalogue(session, settings)
        assert (
            audience.count_members(
                session, Question.parse("ordered exactly 2 times and spent at least 1247", words), NOW
            )
            == 1
        )
        assert audience.count_members(session, Question.parse("consents to newsletter", words), NOW) == 0


def test_two_rows_with_one_address_are_one_person_and_a_taken_address_stays_where_it_is(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        "email,phone,first_name\na@example.org,,Anna\nA@Example.org,+393331234567,Anna\nb@example.org,+39 333 1234567,Bea\n"
    )
    imported(store, settings, path)
    with store.read() as session:
        owners = dict(session.execute(select(Address.value, Address.contact_id)).all())
        anna, bea = owners["a@example.org"], owners["b@example.org"]
        assert owners == {"a@example.org": anna, "+393331234567": anna, "b@example.org": bea}
        assert [p.first_name for p in (session.get_one(Contact, anna), session.get_one(Contact, bea))] == [
            "Anna",
            "Bea",
        ]
        assert session.execute(select(Proposal.one_id, Proposal.other_id)).all() == [(anna, bea)]


@pytest.mark.parametrize("rows", [200, 3000])
def test_a_file_of_people_who_share_a_phone_is_as_many_people(
    rows: int, store: Store, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "office.csv"
    lines = [f"reader{n}@example.org,+39 02 5550100,Reader{n}" for n in range(rows)]
    path.write_text("\n".join(["email,phone,first_name", *lines]) + "\n")
    for tally in (imported(store, settings, path), imported(store, settings, path)):
        assert tally.shared == rows - 1
    assert (tally.new, tally.unchanged) == (0, rows)
    with store.read() as session:
        people = session.execute(
            select(Contact.first_name, Address.value)
            .join(Address, Address.contact_id == Contact.id)
            .where(Address.medium == "email")
        ).all()
        assert {name.lower() + "@example.org" for name, _ in people} == {email for _, email in people}
        assert len(people) == rows
        assert session.execute(select(func.count()).select_from(Proposal)).scalar_one() <= 6


def test_the_same_person_is_known_by_what_decides(store: Store, settings: Settings, tmp_path: Path) -> None:
    """An email before a handle, a handle before a telephone; each alone is enough where there is nothing else."""
    path = tmp_path / "people.csv"
    path.write_text(
        "email,twitter,phone,first_name\n"
        "anna@example.org,anna_b,+393331234567,Anna\n"  # new
        "anna@example.org,,+393337654321,\n"  # Anna, another phone
        "ben@example.org,anna_b,,Ben\n"  # another email: Ben, who writes for her handle
        ",anna_b,+393330000000,\n"  # the handle alone: Anna
        ",,+393331234567,\n"  # the phone alone: Anna
        ",carla,+393331234567,Carla\n"  # another handle on her phone: Carla
    )
    tally = imported(store, settings, path)
    with store.read() as session:
        owners: dict[str, set[str]] = {}
        for name, value in session.execute(
            select(Contact.first_name, Address.value).join(Address, Address.contact_id == Contact.id)
        ):
            owners.setdefault(name, set()).add(value)
    assert owners == {
        "Anna": {"anna@example.org", "anna_b", "+393331234567", "+393337654321", "+393330000000"},
        "Ben": {"ben@example.org"},
        "Carla": {"carla"},
    }
    assert tally.new == 3


def test_an_import_leaves_an_audit_row(store: Store, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(HEADS + ROWS)
    imported(store, settings, path)
    with store.read() as session:
        assert {"imported", "consents recorded"} <= set(session.execute(select(Audit.action)).scalars())


def test_a_mapping_with_a_wrong_word_says_the_nearest() -> None:
    with pytest.raises(ValueError, match="email"):
        ColumnMapping(columns={"Mail": "E-Mail!"})
    with pytest.raises(ValueError, match="no column is an address"):
        ColumnMapping(columns={"Nome": "first_name"})


def test_files_that_are_none_are_said_to_be(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    for path in (empty, tmp_path / "nowhere.csv"):
        with pytest.raises(BadContent), open_table(path):
            pass


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_ours_is_taken_for_a_formula(start: str) -> None:
    assert neutralise_cell(f"{start}HYPERLINK()")[0] == "'"


@pytest.mark.parametrize(
    ("medium", "raw", "value"),
    [
        ("email", " Anna.B@Example.ORG ", "anna.b@example.org"),
        ("phone", "333 1234567", "+393331234567"),
        ("twitter", "@Anna_B", "anna_b"),
    ],
)
def test_addresses_have_one_form(medium: str, raw: str, value: str) -> None:
    assert normalise_address(medium, raw, "IT") == value
