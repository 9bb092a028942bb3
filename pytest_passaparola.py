"""Campaigns asserted as code: a pytest fixture that plays one for a small cast. Loaded by pytest where this is installed.

def test_an_unhappy_buyer_is_never_asked_to_tell_a_friend(rehearse):
    seen = rehearse("post_purchase", days=30, assume=["answers survey 3"])
    assert seen.said("Anna") == ["thank_you", "care_tips", "how_was_it", "we_are_sorry"]
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest


@pytest.fixture
def rehearse(tmp_path: Path) -> Iterator[Callable[..., object]]:
    """`rehearse(name, days=90, assume=[…], start=…)` gives a `rehearsal.Rehearsal`.

    The cast: Anna in Milan bought once five months ago; Ben in Cork reads and never bought; Zoë in Auckland bought last
    month; all three said yes to the newsletter and to after-sales letters. Carla was never asked anything.
    """
    from contacts.store import Store
    from settings import Settings

    opened: list[Store] = []

    def rehearsed(
        name: str, days: int = 90, assume: Iterable[str] = (), start: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    ) -> object:
        import rehearsal

        folder = tmp_path / f"rehearsal-{len(opened)}"
        folder.mkdir()
        given = Settings(
            var=folder, database_url=f"sqlite:///{folder / 'store.db'}", secret_key="a secret of the tests"
        )
        opened.append(Store(given.database).open())
        cast(opened[-1], given.secret, start)
        return rehearsal.play(opened[-1], given, name, days=days, now=start, assume=assume)

    yield rehearsed
    for store in opened:
        store.close()


CAST = {
    "Anna": {"language": "it", "country": "IT", "time_zone": "Europe/Rome", "bought": 150},
    "Ben": {"language": "en", "country": "IE", "time_zone": "Europe/Dublin"},
    "Zoë": {"language": "en", "country": "NZ", "time_zone": "Pacific/Auckland", "bought": 30},
    "Carla": {"country": "IT", "asked": False},
}


def cast(store: object, secret: str, now: datetime) -> dict[str, int]:
    """The people of the fixture, in any store."""
    from contacts import activity
    from contacts.identity import address_key
    from contacts.models import Address, Consent, Contact, Event

    people: dict[str, int] = {}
    with store.write() as session:  # type: ignore[attr-defined]
        for name, facts in CAST.items():
            known = {trait: facts.get(trait) for trait in ("language", "country", "time_zone")}
            person = Contact(first_name=name, created_at=now, updated_at=now, traits={}, **known)
            session.add(person)
            session.flush()
            people[name] = person.id or 0
            email = f"{name.lower().replace('ë', 'e')}@example.org"
            session.add(
                Address(medium="email", value=email, contact_id=people[name], key=address_key(secret, "email", email))
            )
            for topic in ("newsletter", "after_sales") if facts.get("asked", True) else ():
                session.add(
                    Consent(contact_id=people[name], medium="email", topic=topic, granted=True, basis="consent",
                            source="the cast", at=now - timedelta(days=200))
                )  # fmt: skip
            if "bought" in facts:
                at = now - timedelta(days=int(str(facts["bought"])))
                session.add(
                    Event(contact_id=people[name], kind="order_completed", at=at, received_at=at, source="the cast",
                          source_id=name, amount=2900, currency="EUR", properties={"order_id": f"old-{name}"})
                )  # fmt: skip
        session.flush()
        activity.refresh(session, "EUR")
    return people
