"""What was recalled is promised to nobody, and what has not begun is not said to be done."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlmodel import col

from passaparola.errors import NotAllowed
from passaparola.flows._artifacts import _no_reason
from passaparola.journeys import launch
from passaparola.journeys.launch import lock_launch
from passaparola.journeys.status import launch_status
from passaparola.outbox import ledger, story
from passaparola.outbox.render.frozen import freezer
from passaparola.reports import campaign
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Enrolment
from tests.conftest import NOW
from tests.forked import run
from tests.outbox.test_guards import approved, drained, released
from tests.people import crowd

DRIP = "  - wait: 7 days\n  - {say: goodbye, by: [email]}\n"


@pytest.fixture
def drip(store: Store, settings: Settings) -> Settings:
    crowd(store, 3, NOW)
    folder = settings.home / "templates" / "goodbye"
    folder.mkdir()
    (folder / "email.mjml").write_text(
        (settings.home / "templates" / "hello" / "email.mjml").read_text().replace("Dear", "Bye")
    )
    path = settings.home / "campaigns" / "hello.yaml"
    path.write_text(path.read_text() + DRIP)
    return settings


def _by_hand(store: Store, settings: Settings, made: int) -> None:
    ledger.recall_launch(store, made, actor="t", now=utc_now())


def _rejected(store: Store, settings: Settings, made: int) -> None:
    launch.reject(store, made, approver="Ada", now=utc_now())


def _changed(store: Store, settings: Settings, made: int) -> None:
    with pytest.raises(NotAllowed):
        launch.approve(store, settings, made, "0" * 64, freezer(settings), approver="Ada", now=utc_now())


def _expired(store: Store, settings: Settings, made: int) -> None:
    with pytest.raises(NotAllowed):
        launch.release(store, made, actor="t", now=utc_now() + timedelta(days=30))


@pytest.mark.parametrize(
    ("made_by", "way"),
    [(released, _by_hand), (approved, _by_hand), (approved, _expired), ("prepared", _rejected), ("prepared", _changed)],
)
def test_nobody_in_a_recalled_launch_is_promised_anything(
    made_by: Callable[[Store, Settings], int] | str,
    way: Callable[[Store, Settings, int], None],
    store: Store,
    drip: Settings,
) -> None:
    if isinstance(made_by, str):
        made = launch.prepare(store, drip, "hello", freezer(drip), actor="t", now=utc_now()).id or 0
    else:
        made = made_by(store, drip)
        if made_by is released:
            drained(store, drip)
    way(store, drip, made)
    with store.write() as session:
        found = launch_status(session, lock_launch(session, made))
        told = [what for _, what in story.tell_story(session, made, 1, "Europe/Rome").sentences]
        tally = ledger.tally_launch(session, made)
    assert (found.state, found.under_way, found.steps, found.accepting) == ("recalled", 0, [], False)
    assert found.ended == {"recalled": 3}
    assert not [one for one in told if one.startswith("next:")]
    assert told[-1].startswith("the launch was recalled, nothing more of it is sent: ")
    assert tally.begins is None
    with store.read() as session:
        if made_by is released:  # it did go out to them before
            assert campaign.build_report(session, drip, "hello").media["email"].sent == 3
        else:
            with pytest.raises(Exception, match="has not been launched yet"):
                campaign.build_report(session, drip, "hello")


def test_a_scheduled_launch_says_when_it_begins_and_claims_nothing(store: Store, drip: Settings) -> None:
    now = utc_now()
    made = approved(store, drip, now=now, due_at=now + timedelta(days=2))
    launch.release(store, made, actor="t", now=now)
    drained(store, drip)
    with store.read() as session:
        tally = ledger.tally_launch(session, made)
        assert session.execute(select(col(Enrolment.outcome)).distinct()).scalars().all() == [None]
    assert tally.begins == now + timedelta(days=2)
    assert "nothing has gone out yet: it is due on" in _no_reason(tally.as_json(), drip)
    shown = run("report", "hello")
    assert "nothing has gone out yet: it is due on" in shown.stdout
    assert json.loads(run("report", "hello", "--json").stdout)["begins"]


def test_everyone_got_it_is_said_when_everyone_did(store: Store, settings: Settings) -> None:
    crowd(store, 2, NOW)
    made = released(store, settings)
    with store.read() as session:
        assert "everyone got it" not in _no_reason(ledger.tally_launch(session, made).as_json(), settings)
    drained(store, settings)
    with store.read() as session:
        assert _no_reason(ledger.tally_launch(session, made).as_json(), settings) == "everyone got it"
