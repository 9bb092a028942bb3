"""What a house's own contacts have and do may stand in a campaign: checked against the store, and nothing is left of what fails."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from passaparola import engine
from passaparola.contacts import activity, events
from passaparola.errors import BadContent, NotAllowed
from passaparola.journeys import launch
from passaparola.journeys.freeze import freeze_now
from passaparola.outbox.preview import build_preview
from passaparola.outbox.render.frozen import freezer
from passaparola.rehearsal import rehearse
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Enrolment, Launch, Trait
from tests.conftest import NOW
from tests.forked import run
from tests.outbox.test_guards import drained
from tests.people import add

CLUB = """title: The club
topic: newsletter
enter: {on: vip_joined}
leave: {when: banned = true}
steps:
  - {say: hello, by: [email], when: vip = true and vip_joined with level >= 2}
"""


def happens(session: Any, contact: int, number: int, **properties: Any) -> None:
    row = events.NewEvent(contact, "vip_joined", utc_now(), utc_now(), "app", f"{number}", properties=properties)
    activity.add_events(session, "EUR", events.record_events(session, [row]))


@pytest.fixture
def club(store: Store, settings: Settings) -> Settings:
    with store.write() as session:
        session.add_all([Trait(name="vip", kind="boolean"), Trait(name="banned", kind="boolean")])
        happens(session, add(session, "Zoë", NOW, email="zoe@example.org", traits={"vip": True}), 1, level=3)
    (settings.home / "campaigns" / "club.yaml").write_text(CLUB)
    letter = settings.home / "templates" / "hello" / "email.mjml"
    letter.write_text(letter.read_text().replace("contact.first_name }}", 'contact.first_name | default("friend") }}'))
    return settings


def test_a_campaign_of_the_house_s_own_words_is_seen_rehearsed_sent_and_advanced(store: Store, club: Settings) -> None:
    freeze = freezer(club)
    assert build_preview(store, club, freeze_now(store, club, "club", freeze), NOW).enrolled == 1
    rehearse(store, club, "club", days=7, now=utc_now())
    assert run("check").returncode == 0
    assert json.loads(run("campaign", "preview", "club", "--json").stdout)["campaign"] == "club"
    now = utc_now() - timedelta(minutes=1)
    made = launch.prepare(store, club, "club", freeze, actor="t", now=now)
    launch.approve(store, club, made.id or 0, made.hash, freeze, approver="Ada", now=now)
    launch.release(store, made.id or 0, actor="t", now=now)
    with store.write() as session:
        happens(session, add(session, "Alice", NOW, traits={"vip": True}), 2, level=2)
        happens(session, add(session, "Bob", NOW, traits={"vip": False}), 3, level=2)
        happens(session, add(session, "Carla", NOW, traits={"vip": True}), 4, level=1)
    engine.tick(store, club, utc_now(), actor="t")
    drained(store, club)
    box = club.var / "mailbox" / "email" / "new"
    assert sorted(path.read_text().partition("@example.org>")[0].rpartition("<")[2] for path in box.iterdir()) == [
        "alice",
        "zoe",
    ]


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("on: vip_joined", "on: vip_joned", "did you mean “vip_joined”?"), ("vip = true and", "vipp = true and", "did you mean “vip”?"),
        ("level >= 2", "levl >= 2", "did you mean “level”?"), ("banned = true", "banned = 1", "is a boolean"),
        ("say: hello", "say: hullo", "There is no message"),
    ],
)  # fmt: skip
def test_a_prepare_that_fails_leaves_nothing(was: str, becomes: str, says: str, store: Store, club: Settings) -> None:
    path = club.home / "campaigns" / "club.yaml"
    path.write_text(CLUB.replace(was, becomes))
    done = run("campaign", "send", "club", "--yes")
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr
    with pytest.raises(Exception, match=says.replace("?", r"\?")):
        launch.prepare(store, club, "club", freezer(club), actor="t", now=NOW)
    with store.read() as session:
        assert [
            session.execute(select(func.count()).select_from(table)).scalar_one() for table in (Launch, Enrolment)
        ] == [0, 0]


def test_a_file_broken_after_it_was_prepared_voids_the_approval(store: Store, club: Settings) -> None:
    freeze = freezer(club)
    made = launch.prepare(store, club, "club", freeze, actor="t", now=NOW)
    (club.home / "campaigns" / "club.yaml").write_text(CLUB.replace("topic:", "topik:"))
    with pytest.raises(NotAllowed, match="the approval is void"):
        launch.approve(store, club, made.id or 0, made.hash, freeze, approver="Ada", now=NOW)
    with store.read() as session:
        assert session.get_one(Launch, made.id).state == "recalled"
    with pytest.raises(BadContent, match="did you mean “topic”"):
        launch.prepare(store, club, "club", freeze, actor="t", now=NOW)
