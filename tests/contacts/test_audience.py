"""One question, two databases and a plain reading of it: three times the same answer."""

import random
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlmodel import select

from passaparola.contacts import activity, audience, events
from passaparola.contacts.audience import Question, tree
from passaparola.contacts.audience.parse import parse_question
from passaparola.contacts.audience.words import Catalogue
from passaparola.errors import BadContent, BadQuestion, Unknown
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Activity, Address, Consent, Contact, Event
from tests.conftest import NOW
from tests.contacts.reference import Happening, Person, holds
from tests.people import add

WORDS = Catalogue(traits={"nps": "number", "vip": "boolean", "shoe": "text"}, audiences={"staff": 'city = "Milano"'})
KINDS = ("order_completed", "survey_answered", "clicked")
CITIES = ("Milano", "Torino", "Aosta", "Ötztal", "")
quick = hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def population(size: int = 60) -> list[Person]:
    dice = random.Random(42)
    people = []
    for _ in range(size):
        traits = {
            "country": dice.choice(["IT", "DE", None]), "city": dice.choice([*CITIES, None]), "first_name": dice.choice(["Anna", "Zoë", None]),
            "nps": dice.choice([None, 0.0, 5.0, 9.0, 9.5]), "vip": dice.choice([None, True, False]), "shoe": dice.choice([None, "42", "sneaker"]),
        }  # fmt: skip
        events = [
            Happening(
                dice.choice(KINDS),
                NOW
                - timedelta(days=dice.choice([0, 1, 6, 7, 30, 31, 89, 90, 91, 365]), seconds=dice.choice([0, 0, 1])),
                dice.choice([None, 0, 1250, 5000, 99999]),
                dice.choice(["EUR", "EUR", "USD"]),
                {
                    name: value
                    for name, value in (
                        ("category", dice.choice(["shoes", "hats"])),
                        ("score", dice.choice([1, 9, 9.5, "9", True, None])),
                    )
                    if value is not None
                },
            )
            for _ in range(dice.choice([0, 0, 1, 2, 3, 7]))
        ]
        said = [
            (
                NOW - timedelta(days=dice.choice([1, 1, 2, 3])),
                dice.choice(["email", "sms"]),
                dice.choice(["newsletter", "*"]),
                dice.choice([True, False]),
            )
            for _ in range(dice.choice([0, 1, 2, 3]))
        ]
        media = {medium: dice.choice([True, False]) for medium in ("email", "twitter") if dice.random() < 0.6}
        people.append(
            Person(
                {k: v for k, v in traits.items() if v is not None},
                dice.choice([None, "04-21", "04-25", "12-31", "02-29"]),
                media,
                said,
                events,
            )
        )
    return people


def kept(store: Store, people: list[Person]) -> None:
    with store.write() as session:
        for number, person in enumerate(people, 1):
            typed = {k: v for k, v in person.traits.items() if k in ("country", "city", "first_name")}
            custom = {k: v for k, v in person.traits.items() if k not in typed}
            session.add(
                Contact(id=number, birthday=person.birthday, created_at=NOW, updated_at=NOW, traits=custom, **typed)
            )
        session.flush()
        for number, person in enumerate(people, 1):
            for medium, verified in person.media.items():
                session.add(
                    Address(
                        medium=medium,
                        value=f"p{number}",
                        contact_id=number,
                        key=f"{medium}{number}",
                        verified_at=NOW if verified else None,
                    )
                )
            for at, medium, topic, granted in person.consents:
                session.add(
                    Consent(
                        contact_id=number,
                        medium=medium,
                        topic=topic,
                        granted=granted,
                        basis="consent",
                        source="t",
                        at=at,
                    )
                )
                session.flush()
            for place, event in enumerate(person.events):
                session.add(
                    Event(
                        contact_id=number,
                        kind=event.kind,
                        received_at=event.at,
                        at=event.at,
                        source="t",
                        source_id=f"{number}-{place}",
                        amount=event.amount,
                        currency=event.currency if event.amount is not None else None,
                        properties=event.properties,
                    )
                )
                session.flush()
        activity.refresh(session, "EUR")


signs = st.sampled_from(["=", ">=", "<=", ">", "<"])
spans = st.tuples(st.sampled_from([1, 7, 30, 90, 91]), st.sampled_from(["day", "week", "hour", "month"]))
windows = st.one_of(
    st.just(tree.ALWAYS),
    st.builds(lambda s: tree.Window(within=s), spans),
    st.builds(lambda s: tree.Window(longer_ago=s), spans),
    st.builds(lambda d: tree.Window(since=d), st.dates((NOW - timedelta(days=100)).date(), NOW.date())),
    st.builds(lambda d: tree.Window(before=d), st.dates((NOW - timedelta(days=100)).date(), NOW.date())),
)
filters = st.one_of(
    st.builds(
        lambda v, n: tree.Filter(name="category", sign="=", value=v, negated=n),
        st.sampled_from(["shoes", "hats", "x"]),
        st.booleans(),
    ),
    st.builds(
        lambda s, v, n: tree.Filter(name="score", sign=s, value=v, negated=n),
        signs,
        st.sampled_from([1.0, 9.0, 9.5]),
        st.booleans(),
    ),
    st.builds(lambda s, v: tree.Filter(name="amount", sign=s, value=v), signs, st.sampled_from([0.0, 12.5, 50.0])),
    st.builds(lambda v: tree.Filter(name="score", sign="=", value=v), st.booleans()),
)
leaves = st.one_of(
    st.builds(lambda v: tree.Compared(trait="city", sign="=", value=v), st.sampled_from(CITIES)),
    st.builds(lambda s, v: tree.Compared(trait="nps", sign=s, value=v), signs, st.sampled_from([0.0, 5.0, 9.0])),
    st.builds(lambda v: tree.Compared(trait="vip", sign="=", value=v), st.booleans()),
    st.builds(
        lambda v: tree.OneOf(trait="country", values=tuple(v)),
        st.lists(st.sampled_from(["IT", "DE", "FR"]), min_size=1),
    ),
    st.builds(
        lambda h, v: tree.TextMatch(trait="city", how=h, value=v),
        st.sampled_from(["contains", "starts"]),
        st.sampled_from(["a", "Mi", "o", "Ö", "%", "_"]),
    ),
    st.builds(lambda t: tree.HasTrait(trait=t), st.sampled_from(["city", "nps", "vip", "shoe"])),
    st.builds(
        lambda k, n, m, f, w: tree.EventCount(event=k, at_least=n, at_most=m, filters=tuple(f), window=w),
        st.sampled_from(KINDS),
        st.integers(0, 7),
        st.none() | st.integers(0, 7),
        st.lists(filters, max_size=2),
        windows,
    ),
    st.builds(
        lambda k, x, w: tree.FirstOrLast(event=k, which=x, window=w),
        st.sampled_from(KINDS),
        st.sampled_from(["first", "last"]),
        windows,
    ),
    st.builds(
        lambda k, x, f: tree.FirstOrLast(event=k, which=x, filter=f),
        st.sampled_from(KINDS),
        st.sampled_from(["first", "last"]),
        filters,
    ),
    st.builds(
        lambda k, s, v, c, f, w: tree.Total(event=k, sign=s, value=v, currency=c, filters=tuple(f), window=w),
        st.sampled_from(KINDS),
        signs,
        st.sampled_from([0.0, 12.5, 100.0]),
        st.sampled_from([None, "EUR", "USD"]),
        st.lists(filters, max_size=1),
        windows,
    ),
    st.builds(lambda m: tree.HasConsent(topic="newsletter", medium=m), st.sampled_from(["email", "sms"])),
    st.builds(lambda m, v: tree.HasAddress(medium=m, verified=v), st.sampled_from(["email", "twitter"]), st.booleans()),
    st.builds(lambda d: tree.Birthday(days=d), st.integers(0, 10)),
    st.just(tree.Everyone()),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda p: tree.Not(part=p), inner),
        st.builds(lambda p: tree.All(of=tuple(p)), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda p: tree.Any(of=tuple(p)), st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)


def test_sql_and_a_plain_reading_agree_on_every_question(store: Store) -> None:
    people = population()
    kept(store, people)

    @quick
    @given(trees)
    def agree(node: tree.Node) -> None:
        with store.read() as session:
            asked = Question("", node, WORDS)
            found = {p.id for p in audience.sample_members(session, asked, NOW, 1000)}
        assert found == {n for n, person in enumerate(people, 1) if holds(node, person, NOW)}

    agree()


def test_activity_says_what_the_events_say_however_it_was_made(store: Store) -> None:
    kept(store, population())
    with store.write() as session:
        as_a_whole = sorted(str(row.model_dump()) for row in session.exec(select(Activity)).all())
        for contact in range(1, 61):
            activity.refresh(session, "EUR", [contact])
        session.expire_all()
        assert sorted(str(row.model_dump()) for row in session.exec(select(Activity)).all()) == as_a_whole  # type: ignore[deprecated]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("ordered at least 2 times within 90 days", tree.EventCount(event="order_completed", at_least=2, window=tree.Window(within=(90, "day")))),
        ("never ordered", tree.Not(part=tree.EventCount(event="order_completed"))),
        ('country != "IT"', tree.Not(part=tree.Compared(trait="country", sign="=", value="IT"))),
        ("last survey_answered score >= 9", tree.FirstOrLast(event="survey_answered", which="last", filter=tree.Filter(name="score", sign=">=", value=9.0))),
        ("spent at least 500 EUR within 1 year", tree.Total(event="order_completed", sign=">=", value=500.0, currency="EUR", window=tree.Window(within=(1, "year")))),
        ("consents to newsletter and in audience staff", tree.All(of=(tree.HasConsent(topic="newsletter"), tree.InAudience(audience="staff")))),
        ("ordered exactly once", tree.EventCount(event="order_completed", at_least=1, at_most=1)),
    ],
)  # fmt: skip
def test_words_mean_what_they_say(text: str, same: tree.Node) -> None:
    assert parse_question(text, WORDS) == same


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ('contry = "IT"', 1, "did you mean “country”?"),
        ("orderd within 3 days", 1, "did you mean “ordered”?"),
        ("ordered within 3 fortnights", 18, "hours, days, weeks"),
        ("ordered at lest 2 times", 12, "did you mean “least”?"),
        ('(country = "IT"', 16, "expected )"),
        ('nps = "nine"', 1, "is a number"),
        ("in audience stff", 13, "did you mean “staff”?"),
        ("ordered since 2026-02-31", 15, "not on the calendar"),
        ("country = 'IT'", 11, 'a text in "quotes"'),
        ("", 1, "stops too early"),
    ],
)
def test_an_error_points_at_the_word_and_says_what_is_known(text: str, column: int, says: str) -> None:
    with pytest.raises(BadQuestion) as error:
        parse_question(text, WORDS)
    assert error.value.column == column
    assert says in str(error.value)


SEEN = Catalogue(
    properties={
        "order_completed": {"sku": frozenset({"text"}), "weight": frozenset({"number"}), "gift": frozenset({"boolean"}), "boxes": frozenset({"list"})},
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ('ordered with skuu = "A"', 14, "no order_completed that came in has “skuu”; did you mean “sku”?"),
        ('never ordered with cds = "A"', 20, "no order_completed that came in has “cds”; there is amount, boxes, campaign"),
        ("last ordered wight >= 2", 14, "did you mean “weight”?"),
        ('spent with skuu = "A" at least 50 EUR', 12, "did you mean “sku”?"),
        ('total order_completed with skuu = "A" > 5', 28, "did you mean “sku”?"),
        ('ordered with weight = "two"', 14, "is a number and is compared with one: weight >= 9"),
        ("ordered with sku = 7", 14, 'is a text and is compared with one: sku = "…"'),
        ('ordered with gift = "yes"', 14, "gift = true"),
        ('ordered with items = "Acacia honey"', 14, "“items” is a list"),
        ('ordered with boxes = "A"', 14, "“boxes” is a list"),
        ('ordered with amount = "50"', 14, "an amount is a number"),
        ("ordered since 2026-01-01 and ordered before 2026-04-01", 1, "asks for two, one in each span"),
        ("ordered before 2026-04-01 and country = \"IT\" and ordered since 2026-01-01", 1, "asks for two, one in each span"),
        ("clicked within 90 days and clicked more than 30 days ago", 1, "asks for two, one in each span"),
        ("(bought since 2026-01-01 and ordered before 2026-04-01) or everyone", 2, "asks for two, one in each span"),
    ],
)  # fmt: skip
def test_a_question_that_would_be_answered_wrongly_in_silence_is_refused(text: str, column: int, says: str) -> None:
    with pytest.raises(BadQuestion) as error:
        parse_question(text, SEEN)
    assert says in str(error.value)
    assert error.value.column == column


@pytest.mark.parametrize(
    "text",
    [
        'ordered with sku = "A", weight >= 2, gift = true within 30 days', "ordered with amount >= 50", 'ordered with currency = "USD", amount >= 50',
        'ordered with order_id = "7"', "survey_answered with anything >= 9", "never ordered since 2026-01-01 and ordered before 2026-01-01",
        "ordered since 2026-01-01 and clicked before 2026-04-01", 'ordered with sku = "A" since 2026-01-01 and ordered with sku = "B" before 2026-04-01',
        "spent at least 50 EUR since 2026-01-01 and ordered before 2026-04-01",
    ],
)  # fmt: skip
def test_what_can_be_answered_is_understood(text: str) -> None:
    parse_question(text, SEEN)


def test_an_amount_is_one_of_its_currency(store: Store) -> None:
    def bought(amount: int | None, currency: str | None) -> Person:
        return Person({}, None, {}, [], [Happening("order_completed", NOW - timedelta(days=1), amount, currency, {})])

    kept(
        store, [bought(6000, "EUR"), bought(6000, "USD"), bought(4000, "EUR"), bought(6000, "JPY"), bought(None, None)]
    )
    with store.read() as session:
        counts = {
            text: audience.count_members(session, Question.parse(text, WORDS), NOW)
            for text in (
                "ordered with amount >= 50", 'ordered with currency = "USD", amount >= 50', 'ordered with amount >= 50, currency = "JPY"',
                'ordered with currency = "EUR"', 'ordered with currency != "EUR"', "never ordered with amount >= 50", "last ordered amount >= 50",
            )
        }  # fmt: skip
    assert list(counts.values()) == [1, 1, 1, 2, 3, 4, 1]


def test_what_an_event_may_be_asked_about_is_what_came_in(store: Store, settings: Settings) -> None:
    with store.write() as session:
        add(session, "Alice", NOW)
        told = {"sku": "A", "weight": 2, "gift": True, "boxes": [1], "nothing": None, "not a name": 1}
        rows = [events.NewEvent(1, "vip_joined", NOW, NOW, "t", f"{n}", properties=told) for n in (1, 2)]
        activity.add_events(session, "EUR", events.record_events(session, rows))
    with store.read() as session:
        words = audience.load_catalogue(session, settings)
        assert {name: set(types) for name, types in words.properties["vip_joined"].items()} == {
            "sku": {"text"}, "weight": {"number"}, "gift": {"boolean"}, "boxes": {"list"},
        }  # fmt: skip
        assert audience.count_members(session, Question.parse("vip_joined with weight >= 2", words), NOW) == 1
        with pytest.raises(BadQuestion, match="did you mean “weight”"):
            Question.parse("never vip_joined with wait >= 2", words)


def test_a_question_is_bounded_in_length_and_depth() -> None:
    for text in ("(" * 100 + "everyone" + ")" * 100, "everyone and " * 400 + "everyone"):
        with pytest.raises(BadQuestion):
            parse_question(text, WORDS)


def test_audiences_that_contain_each_other_are_refused(tmp_path: Path) -> None:
    words = Catalogue(audiences={"a": "in audience b", "b": "not in audience a"})
    with pytest.raises(BadContent, match="contain each other"):
        Question.parse("a", words).clause(NOW)


def test_a_lone_word_that_is_no_audience_names_the_nearest() -> None:
    with pytest.raises(Unknown, match="staff"):
        Question.parse("stff", WORDS)


def test_explain_says_which_parts_hold(store: Store) -> None:
    kept(store, [Person({"country": "IT", "nps": 3.0}, None, {}, [], [])])
    with store.read() as session:
        verdicts = audience.explain_contact(
            session, Question.parse('country = "IT" and (nps >= 9 or never ordered)', WORDS), 1, NOW
        )
    assert [(v.text, v.holds) for v in verdicts] == [
        ('country = "IT" and (nps >= 9 or never ordered)', True),
        ('country = "IT"', True),
        ("nps >= 9 or never ordered", True),
        ("nps >= 9", False),
        ("never ordered", True),
        ("ordered", False),
    ]
