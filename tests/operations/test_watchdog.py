"""What runs and does not move is found, mended where that is safe, and asked for where it is not."""

from datetime import timedelta

from passaparola import engine
from passaparola.inbound import store as inbound_store
from passaparola.operations import health, watchdog
from passaparola.outbox.claim import reserve_batch
from passaparola.settings import Settings
from passaparola.store import incidents
from passaparola.store.database import Store, utc_now
from tests import shops
from tests.conftest import NOW
from tests.outbox.test_guards import released
from tests.people import crowd


async def test_when_everything_moves_there_is_nothing_to_say(store: Store, settings: Settings) -> None:
    assert await watchdog.run_watchdog(store, settings, utc_now(), engine.tick) == []


async def test_messages_that_nobody_sends_are_sent_and_the_step_is_named(store: Store, settings: Settings) -> None:
    crowd(store, 5, NOW)
    released(store, settings)
    later = utc_now() + timedelta(minutes=30)
    assert [one.step for one in watchdog.find_stuck_steps(health.take_snapshot(store, later))] == ["deliver"]
    found = await watchdog.run_watchdog(store, settings, later, engine.tick)
    assert [(one.step, one.action) for one in found] == [("deliver", "")]
    assert await watchdog.run_watchdog(store, settings, later, engine.tick) == []


async def test_what_came_in_and_was_left_is_applied(store: Store, settings: Settings) -> None:
    headers, body = shops.shopify(shops.order())
    with store.write() as session:
        inbound_store.store_body(
            session, inbound_store.NewBody("shopify", "d", {k.lower(): v for k, v in headers.items()}, body, NOW)
        )
    found = await watchdog.run_watchdog(store, settings, NOW + timedelta(hours=1), engine.tick)
    assert [(one.step, one.action) for one in found] == [("listen", "")]


async def test_a_batch_whose_worker_died_is_given_up_and_a_doubt_of_a_day_asks_for_someone(
    store: Store, settings: Settings
) -> None:
    crowd(store, 3, NOW)
    released(store, settings)
    now = utc_now()
    assert reserve_batch(store, settings, worker="gone", now=now)
    found = await watchdog.run_watchdog(store, settings, now + timedelta(minutes=30), engine.tick)
    assert [(one.step, one.action) for one in found] == [("record", "")]
    assert health.take_snapshot(store, now + timedelta(days=2)).unknown.count == 1


async def test_a_paused_channel_asks_for_its_mending_and_its_messages_are_not_called_idle(
    store: Store, settings: Settings
) -> None:
    crowd(store, 3, NOW)
    released(store, settings)
    with store.write() as session:
        incidents.open_incident(session, "mailbox", "sending", "the key is wrong", utc_now())
    found = await watchdog.run_watchdog(store, settings, utc_now() + timedelta(hours=1), engine.tick)
    assert [one.step for one in found] == ["deliver"]
    assert found[0].action == "mend it, then: passaparola channel resume mailbox"
