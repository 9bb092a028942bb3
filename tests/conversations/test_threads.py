"""What people say: understood, threaded, on the clock; and care before selling."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlmodel import Session, col

from passaparola.channel.receiver import InboundText
from passaparola.conversations import care, threads
from passaparola.conversations.care import CarePolicy, Rule
from passaparola.conversations.threads import IncomingText
from passaparola.conversations.understanding import understand
from passaparola.errors import NotAllowed
from passaparola.outbox import answer, ledger
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Conversation, Event, Turn
from tests.conftest import NOW, ROOT
from tests.outbox.test_guards import drained, reasons, released
from tests.people import add

POLICY = care.load_policy(ROOT)
ROME = ZoneInfo("Europe/Rome")

# What nobody tuned the lists on: twenty short letters, ten in each language.
HELD_BACK = [
    ("Spedizione rapidissima e prodotti freschi, bravi", "it", "good"), ("L'olio era rancido, una vergogna", "it", "bad"), ("Adoro il vostro sapone alle rose", "it", "good"),
    ("Ordine sbagliato per la seconda volta", "it", "bad"), ("Mi è piaciuta molto la ricetta dell'ultima lettera", "it", "good"), ("Servizio pessimo, non comprerò più", "it", "bad"),
    ("Tutto perfetto come sempre", "it", "good"), ("La confezione era danneggiata", "it", "bad"), ("Siete gentilissimi, grazie mille", "it", "good"), ("Non sono contento della qualità", "it", "bad"),
    ("The candles smell divine and arrived quickly", "en", "good"), ("My order is late again and nobody answers", "en", "bad"), ("Great quality, I will be back", "en", "good"),
    ("The jar was broken and the box leaked", "en", "bad"), ("Thank you for the kind note in the parcel", "en", "good"), ("Terrible experience, I want my money back", "en", "bad"),
    ("We love the quince jam", "en", "good"), ("Not good at all, the oil was stale", "en", "bad"), ("Lovely people and honest prices", "en", "good"), ("Very disappointed with the towel", "en", "bad"),
]  # fmt: skip


def test_most_of_what_nobody_tuned_on_is_understood() -> None:
    right = [
        (understand(text, POLICY).language == language, care.mood_of(understand(text, POLICY).sentiment) == feeling)
        for text, language, feeling in HELD_BACK
    ]
    assert sum(spoken for spoken, _ in right) >= 19
    assert sum(felt for _, felt in right) >= 18


@pytest.mark.parametrize(
    ("words", "kind", "topic"),
    [
        ("Il pacco non è arrivato", "complaint", "delivery"), ("Potete mandarmi la fattura?", "request", "order"), ("Do you ship to Ireland?", "question", "delivery"),
        ("Il miele è buonissimo, grazie", "praise", "product"), ("The jar was broken", "complaint", "product"), ("Could you please send a replacement", "request", "order"),
        ("Ci vediamo sabato", "remark", ""),
        ("My parcel never arrived, terrible", "complaint", "delivery"), ("Il pacco non è mai arrivato, pessimo servizio, grazie lo stesso", "complaint", "delivery"),
        ("You are always so kind and the honey is wonderful, but the jar was broken", "complaint", "product"), ("Thank you so much, lovely people! Still waiting for my order", "complaint", "order"),
        ("Never again. Awful", "complaint", ""), ("Nothing broken, everything perfect, thank you", "praise", ""),
        ("Niente di rotto, tutto perfetto, grazie", "praise", ""), ("Non male, anzi buonissimo, grazie", "praise", ""),
    ],
)  # fmt: skip
def test_what_they_want_and_what_it_is_about(words: str, kind: str, topic: str) -> None:
    found = understand(words, POLICY)
    assert (found.kind, found.topic) == (kind, topic)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 4, day, hour, minute, tzinfo=ROME).astimezone(UTC)


@pytest.mark.parametrize(
    ("heard", "within", "until"),
    [
        (at(21, 10), timedelta(hours=2), at(21, 12)),  # Tuesday
        (at(21, 17), timedelta(hours=2), at(22, 10)),
        (at(24, 17, 30), timedelta(hours=2), at(27, 10, 30)),  # over a weekend; Saturday the 25th is Liberation Day anyway
        (at(26, 12), timedelta(hours=4), at(27, 13)),  # a Sunday
        (at(30, 16), timedelta(hours=4), datetime(2026, 5, 4, 11, tzinfo=ROME)),  # the First of May is a holiday
        (at(21, 10), timedelta(days=1), at(22, 10)),  # a day is a working day
        (at(21, 6), timedelta(hours=1), at(21, 10)),
    ],
)  # fmt: skip
def test_the_clock_runs_only_while_somebody_is_there(heard: datetime, within: timedelta, until: datetime) -> None:
    assert (
        care.response_due_at(CarePolicy(hours="mon-fri 09:00-18:00", country="IT"), within, heard, "Europe/Rome")
        == until
    )


def test_the_first_rule_that_fits_holds_and_nonsense_is_named() -> None:
    assert POLICY.rule_for(care.ConversationFacts("complaint", "delivery", "email", "it", -0.8)).team == "logistics"
    assert POLICY.rule_for(care.ConversationFacts("remark", "", "email", "it", 0)).within is None
    for wrong in ({"hours": "all day"}, {"hours": "mon-fri 18:00-09:00"}, {"country": "Atlantis"}):
        with pytest.raises(ValueError, match=r"hours|country"):
            CarePolicy.model_validate(wrong)
    with pytest.raises(ValueError, match="span of time"):
        Rule.model_validate({"team": "care", "answer within": "soon"})


def speak(
    session: Session, settings: Settings, contact: int, words: str, when: datetime = NOW, **more: Any
) -> Conversation | None:
    number = session.execute(select(func.count()).select_from(Event)).scalar_one()
    event = Event(
        contact_id=contact,
        kind="replied",
        at=when,
        received_at=when,
        source="mail",
        source_id=f"{number}",
        properties={},
        medium="email",
    )
    session.add(event)
    session.flush()
    score = more.pop("score", None)
    said = InboundText(
        words, more.pop("subject", ""), f"<{number}@x>", more.pop("thread", ""), more.pop("automatic", False)
    )
    return threads.receive(
        session, settings, IncomingText(contact, event.id or 0, "email", "mail", when, said, "", score), when
    )


def test_who_writes_again_goes_on_with_the_same_conversation(store: Store, settings: Settings) -> None:
    with store.write() as session:
        alice, bob = add(session, "Alice", NOW), add(session, "Bob", NOW)
        first = speak(session, settings, alice, "Il pacco non è arrivato", thread="<a>")
        again = speak(session, settings, alice, "E allora?", NOW + timedelta(hours=1), thread="<a>")
        other = speak(session, settings, bob, "Ciao", thread="<a>")
        assert first is not None
        assert again is not None
        assert other is not None
        assert first.id == again.id != other.id
        assert again.kind == "complaint"  # what follows does not make it lighter
        threads.close_conversation(session, first.id or 0, actor="t", now=NOW + timedelta(hours=2))
        late = speak(session, settings, alice, "Grazie", NOW + timedelta(days=1), thread="<a>")
        assert late is not None
        assert (late.id, late.state) == (first.id, "open")
        threads.close_conversation(session, first.id or 0, actor="t", now=NOW)
        with pytest.raises(NotAllowed, match="closed already"):
            threads.close_conversation(session, first.id or 0, actor="t", now=NOW)


def test_an_out_of_office_opens_nothing_and_two_machines_cannot_talk_for_ever(store: Store, settings: Settings) -> None:
    with store.write() as session:
        alice = add(session, "Alice", NOW)
        assert speak(session, settings, alice, "Sono in ferie", automatic=True) is None
        for n in range(40):
            speak(session, settings, alice, f"Received {n}", NOW + timedelta(seconds=n))
        counted = session.execute(select(func.count()).where(~col(Turn.automatic))).scalar_one()
        assert counted == threads.MAX_PER_HOUR


def test_who_is_late_escalates_once_and_an_answer_stops_the_clock(store: Store, settings: Settings) -> None:
    (settings.home / "policies").mkdir()
    (settings.home / "policies" / "care.yaml").write_text((ROOT / "policies" / "care.yaml").read_text())
    with store.write() as session:
        alice = add(session, "Alice", NOW)
        one = speak(session, settings, alice, "Il pacco non è arrivato")
        assert one is not None
        assert one.due_at == at(21, 13)
        assert threads.escalate_overdue(session, settings, NOW + timedelta(hours=1)) == 0
        assert threads.escalate_overdue(session, settings, NOW + timedelta(hours=3)) == 1
        assert threads.escalate_overdue(session, settings, NOW + timedelta(hours=4)) == 0
        assert (one.team, one.priority) == ("owner", 8)
        answer.send_answer(
            session, settings, one.id or 0, "Arriva domani.", actor="marta", now=NOW + timedelta(hours=4)
        )
        assert (one.state, one.due_at) == ("answered", None)


def test_while_a_complaint_is_open_nothing_is_sold_and_then_it_goes_out_after_all(
    store: Store, settings: Settings
) -> None:
    with store.write() as session:
        alice, bob = add(session, "Alice", NOW), add(session, "Bob", NOW)
        one = speak(session, settings, alice, "Il pacco non è arrivato")
        speak(session, settings, bob, "Il miele è buonissimo")
    made = released(store, settings)
    drained(store, settings)
    assert reasons(store, made) == {"held: care first: an open complaint": 1}
    assert one is not None
    with store.write() as session:
        assert answer.close_and_resume(session, one.id or 0, actor="marta", now=NOW) == 1
    drained(store, settings)
    with store.read() as session:
        assert ledger.tally_launch(session, made).total("sent") == 2


def test_a_complaint_that_comes_after_planning_is_heard_before_sending(store: Store, settings: Settings) -> None:
    with store.write() as session:
        alice = add(session, "Alice", NOW)
    made = released(store, settings)
    with store.write() as session:
        speak(session, settings, alice, "Vasetto rotto, voglio un rimborso")
    drained(store, settings)
    assert list(reasons(store, made)) == ["held: care first: an open complaint"]


def test_an_answer_needs_no_consent_and_still_respects_who_is_silenced(store: Store, settings: Settings) -> None:
    from passaparola.contacts import consent
    from passaparola.contacts.addresses import address_key

    with store.write() as session:
        bob, dario = add(session, "Bob", NOW, says=False), add(session, "Dario", NOW)
        consent.suppress(
            session,
            "email",
            address_key(settings.secret, "email", "dario@example.org"),
            "complaint",
            at=NOW,
            source="t",
        )
        for contact in (bob, dario):
            one = speak(session, settings, contact, "Dov'è il pacco?")
            assert one is not None
            answer.send_answer(session, settings, one.id or 0, "Arriva.", actor="marta", now=NOW)
    drained(store, settings)
    with store.read() as session:
        tally = [ledger.tally_launch(session, n) for n in (1, 2)]
    assert [t.total("sent") for t in tally] == [1, 0]
    assert tally[1].reasons == {"held: suppressed: complaint": 1}
