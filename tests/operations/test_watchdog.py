"""What runs and does not move is found, mended where that is safe, and asked for where it is not."""

from datetime import timedelta

from passaparola import engine
from passaparola.inbound import raw_bodies
from passaparola.operations import health, watchdog
from passaparola.outbox.claim import reserve
from passaparola.settings import Settings
from passaparola.store import incidents
from passaparola.store.database import Store, utc_now
from tests import shops
from tests.conftest import NOW
from tests.outbox.test_guards import released
from tests.people import crowd


async def test_when_everything_moves_there_is_nothing_to_say(store: Store, settings: Settings) -> None:
    assert await watchdog.watch(store, settings, utc_now(), engine.decide) == []


async def test_messages_that_nobody_sends_are_sent_and_the_step_is_named(store: Store, settings: Settings) -> None:
    crowd(store, 5, NOW)
    released(store, settings)
    later = utc_now() + timedelta(minutes=30)
    assert [one.step for one in watchdog.idle(health.seen(store, later))] == ["deliver"]
    found = await watchdog.watch(store, settings, later, engine.decide)
    assert [(one.step, one.asks) for one in found] == [("deliver", "")]
    assert await watchdog.watch(store, settings, later, engine.decide) == []


async def test_what_came_in_and_was_left_is_applied(store: Store, settings: Settings) -> None:
    headers, body = shops.shopify(shops.order())
    with store.write() as session:
        raw_bodies.keep(session, "shopify", "d", {k.lower(): v for k, v in headers.items()}, body, NOW)
    found = await watchdog.watch(store, settings, NOW + timedelta(hours=1), engine.decide)
    assert [(one.step, one.asks) for one in found] == [("listen", "")]


async def test_a_batch_whose_worker_died_is_given_up_and_a_doubt_of_a_day_asks_for_someone(
    store: Store, settings: Settings
) -> None:
    crowd(store, 3, NOW)
    released(store, settings)
    now = utc_now()
    assert reserve(store, settings, worker="gone", now=now)
    found = await watchdog.watch(store, settings, now + timedelta(minutes=30), engine.decide)
    assert [(one.step, one.asks) for one in found] == [("record", "")]
    assert health.seen(store, now + timedelta(days=2)).doubts.count == 1


async def test_a_paused_channel_asks_for_its_mending_and_its_messages_are_not_called_idle(
    store: Store, settings: Settings
) -> None:
    crowd(store, 3, NOW)
    released(store, settings)
    with store.write() as session:
        incidents.note(session, "mailbox", "speaking", "the key is wrong", utc_now())
    found = await watchdog.watch(store, settings, utc_now() + timedelta(hours=1), engine.decide)
    assert [one.step for one in found] == ["deliver"]
    assert found[0].asks == "mend it, then: passaparola channel resume mailbox"
