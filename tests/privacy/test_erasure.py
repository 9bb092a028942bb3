"""Forgetting is real: not a byte of the person in any file of ours, and the address stays silent for ever."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlmodel import col

from passaparola import engine
from passaparola.channel.receiver import InboundText
from passaparola.contacts import consent, signup
from passaparola.contacts.addresses import address_key
from passaparola.contacts.imports.columns import ColumnMapping, guess_columns
from passaparola.contacts.imports.importing import Import
from passaparola.contacts.imports.tables import open_table
from passaparola.conversations import threads
from passaparola.conversations.threads import IncomingText
from passaparola.errors import NotAllowed, Unknown
from passaparola.inbound import store as inbound_store
from passaparola.outbox import answer, ledger
from passaparola.privacy import erasure, export, retention
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Attempt, Batch, Contact, Enrolment, Event, Message, RawBody, SignUp, Suppression
from tests.conftest import NOW
from tests.outbox.test_guards import drained, reasons, released
from tests.people import add

# Canaries: words that stand nowhere else.
EMAIL, NAME, CITY, WORDS, HANDLE = (
    "zanzibarra@canary.example",
    "Quetzalcoatla",
    "Xanaduville",
    "Vogelhochzeit",
    "zz_canary",
)
CANARIES = [EMAIL, NAME, CITY, WORDS, HANDLE]


def somebody(store: Store, settings: Settings) -> int:
    """A person who left a mark in every place that there is."""
    with store.write() as session:
        id_ = add(session, NAME, NOW, email=EMAIL, city=CITY, traits={"favourite": WORDS})
        add(session, "Bob", NOW)
        session.add(
            __import__("passaparola.store.models", fromlist=["Address"]).Address(
                medium="twitter", value=HANDLE, contact_id=id_, key=address_key(settings.secret, "twitter", HANDLE)
            )
        )
        consent.record(session, id_, "email", "tracking", True, at=NOW, source="t", proof={"words": WORDS})
        signup.request_signup(session, EMAIL, ["newsletter"], "it", {"network_address": WORDS}, NOW)
    order = {
        "event": "Order Completed",
        "email": EMAIL.upper(),
        "timestamp": NOW.isoformat(),
        "properties": {"order_id": WORDS, "note": NAME},
    }
    odd = {"event": "Order Completed", "email": EMAIL, "timestamp": "soon"}
    with store.write() as session:
        for n, body in enumerate((order, odd)):
            inbound_store.store_body(
                session, inbound_store.NewBody("events", f"{n}", {"webhook-id": f"{n}"}, json.dumps(body).encode(), NOW)
            )
    made = released(store, settings)
    engine.tick(store, settings, NOW, actor="t")
    with store.write() as session:
        event = Event(
            contact_id=id_,
            kind="replied",
            at=NOW,
            received_at=NOW,
            source="mail",
            source_id="<1@canary>",
            properties={"x": WORDS},
            medium="email",
        )
        session.add(event)
        session.flush()
        said = InboundText(f"Il pacco di {NAME} non è arrivato, {WORDS}", f"Re: {WORDS}", "<1@canary>")
        one = threads.receive(session, settings, IncomingText(id_, event.id or 0, "email", "mail", NOW, said), NOW)
        assert one is not None
        answer.send_answer(session, settings, one.id or 0, f"Cara {NAME}", actor="marta", now=NOW)
    drained(store, settings)
    with store.write() as session:
        session.add(
            Attempt(batch_id=1, fence=9, channel="smtp", size=1, started_at=NOW, detail=f"550 <{EMAIL}> unknown")
        )
        key = session.execute(
            select(col(Enrolment.id)).where(col(Enrolment.contact_id) == id_, col(Enrolment.launch_id) == made)
        ).scalar_one()
        row = session.get_one(Message, (key, 0, "email"))
        row.state, row.reason, row.receipt = "failed", f"550 {EMAIL}", EMAIL
    folder = settings.var / "import"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rejects.csv").write_text(f"email,reason\n{EMAIL},no consent\nbob@example.org,fine\n")
    return id_


def traces(store: Store, settings: Settings, database: str) -> list[str]:
    """Where a canary is still to be found, in any file or any column."""
    found = []
    for path in Path(settings.var).rglob("*"):
        if path.is_file():
            found += [f"{path.name}: {word}" for word in CANARIES if word.lower().encode() in path.read_bytes().lower()]
    if database.startswith("sqlite"):
        base = database.removeprefix("sqlite:///")
        for name in (base, f"{base}-wal", f"{base}-shm"):
            if os.path.exists(name):
                found += [
                    f"{os.path.basename(name)}: {word}"
                    for word in CANARIES
                    if word.lower().encode() in Path(name).read_bytes().lower()
                ]
    with store.read() as session:
        for table in __import__("sqlmodel").SQLModel.metadata.sorted_tables:
            for row in session.execute(text(f'SELECT * FROM "{table.name}"')):
                said = " ".join(
                    bytes(v).decode("utf-8", "replace") if isinstance(v, bytes | memoryview) else str(v) for v in row
                )
                found += [f"{table.name}: {word}" for word in CANARIES if word.lower() in said.lower()]
    return found


def test_not_a_byte_is_left_of_who_asked_to_be_forgotten(store: Store, settings: Settings, database: str) -> None:
    id_ = somebody(store, settings)
    assert len({trace.partition(":")[0] for trace in traces(store, settings, database)}) > 10
    engine.erase_contact(store, settings, id_, actor="t", now=NOW)
    engine.erase_contact(store, settings, id_, actor="t", now=NOW)  # finishing what a crash cut off
    assert traces(store, settings, database) == []
    assert "bob@example.org" in (settings.var / "import" / "rejects.csv").read_text()
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Suppression)).scalar_one() == 2


def test_an_import_of_the_same_address_stays_silent(store: Store, settings: Settings, tmp_path: Path) -> None:
    id_ = somebody(store, settings)
    engine.erase_contact(store, settings, id_, actor="t", now=NOW)
    path = tmp_path / "people.csv"
    path.write_text(f"email,consent\n{EMAIL},newsletter\n")
    with open_table(path) as table:
        mapping = ColumnMapping(columns=guess_columns(table.header))
    Import(store, settings, path, mapping, source="t").run(NOW + timedelta(days=1))
    changed = settings.home / "templates" / "hello" / "email.mjml"
    changed.write_text(changed.read_text().replace("Dear", "Dearest"))
    made = released(store, settings, NOW + timedelta(days=2))
    drained(store, settings)
    assert reasons(store, made) == {f"held: suppressed: {erasure.FORGOTTEN}": 1}


def test_who_is_forgotten_in_the_middle_of_a_campaign_is_not_written_to(store: Store, settings: Settings) -> None:
    with store.write() as session:
        id_ = add(session, NAME, NOW, email=EMAIL)
    made = released(store, settings)
    engine.erase_contact(store, settings, id_, actor="t", now=NOW)
    drained(store, settings)
    with store.read() as session:
        tally = ledger.tally_launch(session, made)
    assert (tally.total("sent"), tally.reasons) == (0, {f"held: {erasure.FORGOTTEN}": 1})


def test_a_merged_row_is_forgotten_with_the_person(store: Store, settings: Settings, database: str) -> None:
    from passaparola.contacts import merging

    id_ = somebody(store, settings)
    with store.write() as session:
        other = add(session, "Other", NOW, email=f"other.{EMAIL}")
        merging.merge(session, settings, other, id_, actor="t", now=NOW, reasons=[NAME])
    with pytest.raises(NotAllowed, match="is one with"):
        engine.erase_contact(store, settings, id_, actor="t", now=NOW)
    engine.erase_contact(store, settings, other, actor="t", now=NOW)
    assert traces(store, settings, database) == []
    with pytest.raises(Unknown):
        engine.erase_contact(store, settings, 999, actor="t", now=NOW)


def test_an_export_is_whole_and_holds_nobody_else(store: Store, settings: Settings) -> None:
    id_ = somebody(store, settings)
    with store.read() as session:
        data = export.export_contact(session, id_, NOW)
    said = json.dumps(data, ensure_ascii=False)
    assert [word for word in CANARIES if word.lower() not in said.lower()] == []
    assert "bob" not in said.lower()
    assert {name for name, rows in data.items() if rows} >= {
        "person",
        "addresses",
        "consents",
        "events",
        "messages",
        "conversations",
    }
    assert address_key(settings.secret, "email", EMAIL) not in said


def test_what_has_been_kept_long_enough_goes_and_nothing_else(store: Store, settings: Settings) -> None:
    with store.write() as session:
        alice = add(session, "Alice", NOW)
        for n, (kind, days) in enumerate(
            [("clicked", 800), ("clicked", 10), ("order_completed", 800), ("delivered", 731)]
        ):
            when = NOW - timedelta(days=days)
            session.add(Event(contact_id=alice, kind=kind, at=when, received_at=when, source="t", source_id=f"{n}"))
        for n, (days, state) in enumerate([(40, "applied"), (40, "new"), (5, "applied")]):
            session.add(
                RawBody(source="events", key=f"{n}", received_at=NOW - timedelta(days=days), body=b"x", state=state)
            )
    assert dict(+retention.purge_expired(store, settings, NOW)) == {"bodies": 1, "events": 2}
    assert not +retention.purge_expired(store, settings, NOW)
    with store.read() as session:
        kept = session.execute(select(col(Event.kind), col(Event.at)).order_by(col(Event.id))).all()
        assert [(kind, (NOW - at).days) for kind, at in kept] == [("clicked", 10), ("order_completed", 800)]
        assert [
            bytes(body) for body in session.execute(select(col(RawBody.body)).order_by(col(RawBody.id))).scalars()
        ] == [b"", b"x", b"x"]


def test_who_never_confirmed_is_forgotten_within_a_week_and_may_ask_again(store: Store, settings: Settings) -> None:
    for day in (0, 30):
        now = NOW + timedelta(days=day)
        with store.write() as session:
            signup.request_signup(session, EMAIL, ["newsletter"], "it", {}, now)
        engine.tick(store, settings, now, actor="t")
        with store.read() as session:
            assert session.execute(select(func.count()).where(col(SignUp.state) == "written to")).scalar_one() == 1
        assert retention.purge_expired(store, settings, now + timedelta(days=6))["people who never confirmed"] == 0
        assert retention.purge_expired(store, settings, now + timedelta(days=8))["people who never confirmed"] == 1
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Suppression)).scalar_one() == 0
        assert session.execute(select(func.count()).where(col(Contact.erased_at).is_(None))).scalar_one() == 0
        assert session.execute(select(func.count()).select_from(Batch)).scalar_one() == 2


def test_who_is_called_almost_the_same_loses_nothing(store: Store, settings: Settings) -> None:
    with store.write() as session:
        anna = add(session, "Anna", NOW, email="anna@canary.example")
        add(session, "Susanna", NOW, email="susanna@canary.example")
    for n, who in enumerate(("anna", "susanna")):
        body = {
            "event": "Order Completed",
            "email": f"{who}@canary.example",
            "timestamp": NOW.isoformat(),
            "properties": {"order_id": f"{n}"},
        }
        with store.write() as session:
            inbound_store.store_body(
                session, inbound_store.NewBody("events", f"{n}", {"webhook-id": f"{n}"}, json.dumps(body).encode(), NOW)
            )
    folder = settings.var / "import"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rejects.csv").write_text("anna@canary.example,x\nsusanna@canary.example,x\n")
    engine.erase_contact(store, settings, anna, actor="t", now=NOW)
    assert (folder / "rejects.csv").read_text() == "susanna@canary.example,x\n"
    with store.read() as session:
        assert [
            bool(body) for body in session.execute(select(col(RawBody.body)).order_by(col(RawBody.id))).scalars()
        ] == [False, True]
        assert session.execute(select(func.count()).select_from(Event)).scalar_one() == 1


def test_what_comes_back_after_an_erasure_leaves_nothing_either(
    store: Store, settings: Settings, database: str
) -> None:
    id_ = somebody(store, settings)
    with store.read() as session:
        enrolment = session.execute(select(col(Enrolment.id)).where(col(Enrolment.contact_id) == id_)).scalars().first()
    engine.erase_contact(store, settings, id_, actor="t", now=NOW)
    late = [
        {
            "event": "bounce",
            "email": EMAIL,
            "timestamp": int(NOW.timestamp()),
            "sg_event_id": "1",
            "type": "bounce",
            "reason": f"550 <{EMAIL}>",
            "passaparola_message": f"{enrolment}-0-email",
        }
    ]
    with store.write() as session:
        inbound_store.store_body(session, inbound_store.NewBody("sendgrid", "late", {}, json.dumps(late).encode(), NOW))
    engine.tick(store, settings, NOW, actor="t")
    assert traces(store, settings, database) == []


def test_a_number_is_found_in_a_form_as_it_came() -> None:
    from passaparola.privacy.erasure import _word_pattern

    found = _word_pattern(["+393471234567"])
    assert found.search(b"from=%2b393471234567&body=ciao")
    assert found.search(b"from=whatsapp%3a%2b393471234567&body=ciao")
    assert not found.search(b"from=%2b3934712345678&body=ciao")
