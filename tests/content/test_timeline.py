"""Ninety days of each shipped campaign on a fake clock, for the whole cast, on both databases, line by line.

Anna in Milan bought once five months ago; Ben in Cork never bought; Zoë in Auckland bought last month. Carla was never asked.
"""

from datetime import UTC, datetime

import pytest

from passaparola.rehearsal import Rehearsal, play_in_place
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.testing.cast import add_cast
from tests.conftest import ROOT

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


@pytest.fixture
def seen(store: Store, settings: Settings):  # type: ignore[no-untyped-def]
    add_cast(store, settings.secret, START)

    def rehearsed(name: str, *assume: str, **other: str) -> Rehearsal:
        own = settings.model_copy(update={"home": ROOT, **other})
        return play_in_place(store, own, name, days=90, now=START, assume=assume)

    return rehearsed


def test_welcome(seen) -> None:  # type: ignore[no-untyped-def]
    year = seen("welcome")
    assert year.timeline("Anna") == [
        "Mon 02 Mar 09:00  welcome by email sent",
        "Wed 04 Mar 10:00  welcome_people by email sent",
        "Sun 08 Mar 18:30  welcome_kitchen by email sent",
        "Sat 14 Mar 09:30  welcome_visit by email sent",
    ]  # she has ordered before: no first box for her
    assert year.timeline("Ben") == [
        "Mon 02 Mar 08:00  welcome by email sent",
        "Wed 04 Mar 10:00  welcome_people by email sent",
        "Sun 08 Mar 18:30  welcome_kitchen by email sent",
        "Sat 14 Mar 09:30  welcome_visit by email sent",
        "Sat 21 Mar 10:00  welcome_first_box by email sent",
    ]
    assert year.timeline("Zoë") == [
        "Mon 02 Mar 21:00  welcome by email sent",
        "Wed 04 Mar 10:00  welcome_people by email sent",
        "Sun 08 Mar 18:30  welcome_kitchen by email sent",
        "Sat 14 Mar 09:30  welcome_visit by email sent",
    ]
    assert year.timeline("Carla") == []  # without a yes she leaves before the first word
    assert dict(year.outcomes) == {"finished": 3, "left": 1}


def test_after_the_sale_for_the_happy(seen) -> None:  # type: ignore[no-untyped-def]
    year = seen("post_purchase", "answers survey 9")
    assert year.timeline("Anna") == [
        "Mon 02 Mar 09:00  thank_you by email sent",
        "Thu 05 Mar 18:00  care_tips by email sent",
        "Thu 12 Mar 10:00  how_was_it by email sent",
        "Thu 12 Mar 14:00  tell_a_friend by email sent",
    ]
    # Carla was never asked for anything: her order is thanked for, and nobody asks her to tell a friend.
    assert year.messages_to("Carla") == ["thank_you", "care_tips", "how_was_it"]
    assert year.held_reasons() == {}


def test_after_the_sale_for_the_unhappy_the_silent_and_the_refunded(store: Store, settings: Settings, seen) -> None:  # type: ignore[no-untyped-def]
    assert seen("post_purchase", "answers survey 3").timeline("Zoë") == [
        "Mon 02 Mar 21:00  thank_you by email sent",
        "Thu 05 Mar 18:00  care_tips by email sent",
        "Thu 12 Mar 10:00  how_was_it by email sent",
        "Thu 12 Mar 14:00  we_are_sorry by email sent",
    ]


def test_after_the_sale_for_the_silent(seen) -> None:  # type: ignore[no-untyped-def]
    assert seen("post_purchase").messages_to("Ben") == ["thank_you", "care_tips", "how_was_it"]


def test_after_the_sale_for_the_refunded(seen) -> None:  # type: ignore[no-untyped-def]
    year = seen("post_purchase", "order_refunded after 2 days")
    assert [year.messages_to(name) for name in ("Anna", "Ben", "Zoë")] == [["thank_you"]] * 3
    assert dict(year.outcomes) == {"left": 4}


def test_win_back(seen) -> None:  # type: ignore[no-untyped-def]
    year = seen("win_back")
    assert year.timeline("Anna") == [
        "Tue 03 Mar 10:00  we_miss_you by email sent",
        "Tue 17 Mar 10:00  keep_in_touch by email sent",
    ]
    # Zoë's last order is 120 days old by the end of May: the Tuesday after, she is missed, on the house's schedule.
    assert year.timeline("Zoë") == []
    assert year.count_sent() == 2


def test_newsletter(seen) -> None:  # type: ignore[no-untyped-def]
    year = seen("newsletter")
    assert year.timeline("Anna") == [
        "Thu 05 Mar 09:00  newsletter by email sent",
        "Thu 02 Apr 09:00  newsletter by email held: already had this very message",
        "Thu 07 May 09:00  newsletter by email held: already had this very message",
    ]  # the April issue has to be written first
    assert year.count_sent() == 5  # three letters, a post and an entry in the feed


def test_quiet_hours_and_caps_show_in_the_calendar(seen) -> None:  # type: ignore[no-untyped-def]
    year = seen("welcome", quiet_hours="20:00-08:30", frequency_cap="2 per 7 days")
    assert year.timeline("Zoë")[:3] == [
        "Tue 03 Mar 08:30  welcome by email sent",
        "Wed 04 Mar 10:00  welcome_people by email sent",
        "Sun 08 Mar 18:30  welcome_kitchen by email held: had 2 messages in 7 days",
    ]


def test_a_rehearsal_sends_nothing_and_changes_nothing(store: Store, settings: Settings) -> None:
    from sqlalchemy import func, select
    from sqlmodel import SQLModel

    from passaparola.rehearsal import rehearse

    add_cast(store, settings.secret, START)

    def rows() -> dict[str, int]:
        with store.read() as session:
            tables = SQLModel.metadata.sorted_tables
            return {t.name: session.execute(select(func.count()).select_from(t)).scalar_one() for t in tables}

    before = rows()
    own = settings.model_copy(update={"home": ROOT})
    year = rehearse(store, own, "welcome", days=90, now=START)
    assert year.count_sent() == 13
    assert rows() == before
    assert not (settings.var / "mailbox").exists()
    some = rehearse(store, own, "welcome", days=90, now=START, contacts='country = "IE"')
    assert (some.people, some.count_sent()) == (1, 5)


def test_three_lines_assert_a_campaign(rehearse) -> None:  # type: ignore[no-untyped-def]
    seen = rehearse("post_purchase", days=30, assume=["answers survey 3"])
    assert seen.messages_to("Anna") == ["thank_you", "care_tips", "how_was_it", "we_are_sorry"]
    assert "tell_a_friend" not in seen.messages_to("Anna")
