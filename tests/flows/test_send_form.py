"""The form that sends, and what the approver reads: the house's clock, and no time that has passed."""

from datetime import UTC, datetime, timedelta

import pytest

from passaparola.errors import NotAllowed
from passaparola.flows import send
from passaparola.flows.send import Sending
from passaparola.journeys import launch
from passaparola.outbox.preview import Preview
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Launch
from tests.conftest import NOW

CAMPAIGN = next(iter(send.CampaignName))


def form(at: object) -> Sending:
    return Sending.model_validate({"campaign": CAMPAIGN, "when": "at the time below", "at": at})


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("2026-11-28 09:00", "Saturday 28 November 2026, 09:00 (Europe/Rome)"),
        ("2026-07-01 09:00", "Wednesday 01 July 2026, 09:00 (Europe/Rome)"),
        ("2026-11-28T09:00:00+01:00", "Saturday 28 November 2026, 09:00 (Europe/Rome)"),
        (datetime(2026, 7, 1, 7, tzinfo=UTC), "Wednesday 01 July 2026, 09:00 (Europe/Rome)"),
    ],
)
def test_the_approval_names_the_hour_that_was_typed(at: object, says: str) -> None:
    own, sending = Settings(), form(at)
    due = send._parse_due(sending, NOW, own.time_zone)
    assert due is not None
    made = Launch(
        id=7, campaign="hello", hash="0" * 64, wording="", content={}, due_at=due.astimezone(UTC), created_at=NOW
    )
    asked = send._describe_approval(made, Preview("hello", "Hello", "readers", "everyone", 3), sending, own)
    assert says in asked
    assert "UTC" not in asked


def test_the_form_names_its_clock_and_its_default_never_passes() -> None:
    fields = Sending.model_json_schema()["properties"]["at"]
    assert (fields["default"], fields["type"]) == ("tomorrow 09:00", "string")
    assert "Europe/Rome" in fields["description"]
    for days in (0, 1, 400):
        now = NOW + timedelta(days=days)
        due = send._parse_due(form(fields["default"]), now, "Europe/Rome")
        assert due is not None
        assert now < due < now + timedelta(days=2)


def test_what_is_no_time_is_refused_in_a_sentence() -> None:
    with pytest.raises(NotAllowed, match="is not a time"):
        send._parse_due(form("at breakfast"), NOW, "Europe/Rome")


def test_a_time_that_has_passed_is_refused_and_leaves_nothing(store: Store, settings: Settings) -> None:
    with pytest.raises(NotAllowed, match="has passed; choose a later time"):
        launch.prepare(
            store, settings, "hello", freezer(settings), actor="t", now=NOW, due_at=NOW - timedelta(minutes=1)
        )
    made = launch.prepare(
        store,
        settings,
        "hello",
        freezer(settings),
        actor="t",
        now=NOW,
        due_at=NOW + timedelta(hours=1),
        occurrence="prefect:1",
    )
    again = launch.prepare(  # the run that was suspended begins anew, and its time may have passed by then
        store, settings, "hello", freezer(settings), actor="t", now=NOW + timedelta(days=1), due_at=NOW + timedelta(hours=1),
        occurrence="prefect:1",
    )  # fmt: skip
    assert again.id == made.id == 1
