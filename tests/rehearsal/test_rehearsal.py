"""A rehearsal for some people only, in a store where everything that can happen has happened; and what it would cost."""

import json
from decimal import Decimal

import pytest
from sqlalchemy import func, select
from sqlmodel import SQLModel

from passaparola.contacts import merging
from passaparola.journeys.freeze import freeze_now
from passaparola.outbox.preview import build_preview
from passaparola.outbox.render.frozen import freezer
from passaparola.rehearsal import rehearse
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Conversation, Proposal, SignUp
from tests.conftest import NOW
from tests.conversations.test_threads import speak
from tests.forked import run
from tests.outbox.test_guards import drained, released
from tests.people import add


def a_year_of_it(store: Store, settings: Settings) -> None:
    """Merges, proposals, conversations, sign-ups and a launch, each across the border of the question."""
    with store.write() as session:
        anna = add(session, "Anna", NOW, country="IT")
        ben, twin, carla = (
            add(session, "Ben", NOW, country="IE"),
            add(session, "Twin", NOW),
            add(session, "Carla", NOW, country="IT"),
        )
        merging.merge(session, settings, ben, twin, actor="t", now=NOW, reasons=["t"])
        session.add(Proposal(one_id=anna, other_id=ben, score=0.8, reasons=["t"], at=NOW))
        for contact in (anna, ben):
            assert speak(session, settings, contact, "Dov'è il pacco?")
        session.add(SignUp(contact_id=ben, medium="email", address="", asked_at=NOW, topics=[]))
        other = add(session, "Other", NOW, country="IT")
        merging.merge(session, settings, ben, other, actor="t", now=NOW, reasons=["t"])
        merging.merge(session, settings, carla, add(session, "Carla2", NOW), actor="t", now=NOW, reasons=["t"])
    released(store, settings)
    drained(store, settings)


@pytest.mark.parametrize(
    ("question", "people"), [('country = "IT"', 2), ('country = "IE"', 1), ("everyone", 3), ("", 3)]
)
def test_a_rehearsal_for_some_people_copies_what_is_theirs(
    question: str, people: int, store: Store, settings: Settings
) -> None:
    a_year_of_it(store, settings)
    path = settings.home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace("Dear", "Dearest"))
    with store.read() as session:
        before = {
            table.name: session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in SQLModel.metadata.sorted_tables
        }
    seen = rehearse(store, settings, "hello", days=7, now=NOW, contacts=question)
    assert (seen.people, seen.count_sent()) == (people, people)
    with store.read() as session:
        assert before == {
            table.name: session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in SQLModel.metadata.sorted_tables
        }
        assert session.execute(select(func.count()).select_from(Conversation)).scalar_one() == 2


def test_the_readme_s_rehearsal_runs_on_such_a_store(store: Store, settings: Settings) -> None:
    a_year_of_it(store, settings)
    (settings.home / "campaigns" / "thanks.yaml").write_text(
        "title: Thanks\ntopic: newsletter\nenter: {on: order_completed, key: order_id}\nsteps:\n  - {say: hello, by: [email]}\n"
    )
    done = run(
        "campaign",
        "rehearse",
        "thanks",
        "--days",
        "30",
        "--contacts",
        'country = "IT"',
        "--assume",
        "answers survey 9",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["people"] == 2


def test_what_it_costs_is_what_the_house_says(store: Store, settings: Settings) -> None:
    with store.write() as session:
        for name in ("Anna", "Ben"):
            add(session, name, NOW, language="it" if name == "Anna" else "en")
    letter = settings.home / "templates" / "hello" / "email.mjml"
    (letter.parent / "email.it.mjml").write_text(letter.read_text().replace("Dear", "Cara"))
    (letter.parent / "twitter.txt").write_text("Hello")
    plan = settings.home / "campaigns" / "hello.yaml"
    plan.write_text(plan.read_text().replace("[email]", "[email, twitter]"))
    own = settings.model_copy(update={"cost_per_message": "email 0.5, twitter 0.25"})
    seen = rehearse(store, own, "hello", days=7, now=NOW)
    assert seen.costs.sums == {"EUR": Decimal("1.25")}
    assert seen.as_json()["costs"] == {"EUR": "1.25"}
    shown = build_preview(store, own, freeze_now(store, own, "hello", freezer(own)), NOW)
    assert shown.costs.sums == {"EUR": Decimal("1.25")}  # two languages are two people, and not four letters
    assert "cost: 1.25 EUR" in shown.as_text()
    assert set(rehearse(store, settings, "hello", days=7, now=NOW).costs.sums) == {"USD"}  # what X lists for a post


@pytest.mark.parametrize("variants", ["{a: 50, brief: 50}", "{a: 10, brief: 90}"])
def test_a_campaign_with_variants_is_seen_before_it_is_sent(variants: str, store: Store, settings: Settings) -> None:
    with store.write() as session:
        for n in range(10):
            add(session, f"Reader{n}", NOW)
    letter = settings.home / "templates" / "hello" / "email.mjml"
    (letter.parent / "brief").mkdir()
    (letter.parent / "brief" / "email.mjml").write_text(letter.read_text().replace("Dear", "Hi"))
    plan = settings.home / "campaigns" / "hello.yaml"
    plan.write_text(plan.read_text() + f"    variants: {variants}\n")
    done = run("campaign", "preview", "hello", "--json", PASSAPAROLA_COST_PER_MESSAGE="email 1")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [(one["message"], one["medium"]) for one in said["samples"]] == [
        ("hello/a", "email"),
        ("hello/brief", "email"),
    ]
    assert (said["sendable"], said["costs"]) == (10, {"EUR": "10.0"})
    assert json.loads(run("campaign", "send", "hello", "--yes", "--json").stdout)["sent"] == 10


@pytest.mark.parametrize(
    "name", ["win_back", "welcome", "post_purchase", "newsletter", "spring_launch", "one_question", "on_its_way"]
)
def test_every_shipped_campaign_can_be_previewed(name: str, store: Store, settings: Settings) -> None:
    from tests.conftest import ROOT

    own = settings.model_copy(update={"home": ROOT})
    seen = build_preview(store, own, freeze_now(store, own, name, freezer(own)), NOW)
    assert seen.samples
    assert not [sample for sample in seen.samples if sample.text.startswith("no sample")]
