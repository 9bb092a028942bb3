"""Campaigns asserted as code: a pytest fixture that plays one for a small cast. Loaded by pytest where this is
installed.

def test_an_unhappy_buyer_is_never_asked_to_tell_a_friend(rehearse):
    seen = rehearse("post_purchase", days=30, assume=["answers survey 3"])
    assert seen.messages_to("Anna") == ["thank_you", "care_tips", "how_was_it", "we_are_sorry"]
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest


@pytest.fixture
def rehearse(tmp_path: Path) -> Iterator[Callable[..., object]]:
    """Rehearse a campaign in a test. `rehearse(name, days=90, assume=[…], start=…)` gives a `rehearsal.Rehearsal`.

    The cast: Anna in Milan bought once five months ago; Ben in Cork reads and never bought; Zoë in Auckland bought last
    month; all three said yes to the newsletter and to after-sales letters. Carla was never asked anything.
    """
    from passaparola.settings import Settings
    from passaparola.store.database import Store

    opened: list[Store] = []

    def rehearsed(
        name: str, days: int = 90, assume: Iterable[str] = (), start: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    ) -> object:
        from passaparola import rehearsal
        from passaparola.testing.cast import add_cast

        folder = tmp_path / f"rehearsal-{len(opened)}"
        folder.mkdir()
        given = Settings(
            var=folder, database_url=f"sqlite:///{folder / 'store.db'}", secret_key="a secret of the tests"
        )
        opened.append(Store(given.database).open())
        add_cast(opened[-1], given.secret, start)
        return rehearsal.play_in_place(opened[-1], given, name, days=days, now=start, assume=assume)

    yield rehearsed
    for store in opened:
        store.close()
