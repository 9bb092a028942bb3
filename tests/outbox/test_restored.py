"""A backup taken in the middle of a campaign and put back: nobody gets a letter twice, nobody is forgotten."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path

from channels.mailbox import Mailbox
from contacts.store import Store, utc_now
from outbox import ledger, restored
from outbox.deliver import Drain
from outbox.reconcile import quarantine, reconcile
from settings import Settings
from tests.conftest import NOW
from tests.outbox.test_guards import drained, released
from tests.people import crowd


def boxes(settings: Settings) -> list[str]:
    return sorted(path.name.partition(",")[0] for path in (settings.var / "mailbox" / "email" / "new").iterdir())


def test_what_was_sent_after_the_backup_is_not_sent_again(
    settings: Settings, database: str, tmp_path: Path, monkeypatch: object
) -> None:
    if not database.startswith("sqlite"):
        return  # a file is the backup here; on PostgreSQL the same rows are put back by its own tools
    Mailbox.batch = 10
    try:
        store = Store(database)
        crowd(store, 60, NOW)
        made = released(store, settings)
        asyncio.run(_some(store, settings, 2))
        with store.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(database.removeprefix("sqlite:///"), tmp_path / "backup.db")
        asyncio.run(_some(store, settings, 2))
        store.close()
        for tail in ("", "-wal", "-shm"):
            Path(database.removeprefix("sqlite:///") + tail).unlink(missing_ok=True)
        shutil.copy(tmp_path / "backup.db", database.removeprefix("sqlite:///"))
        store = Store(database)
        assert len(boxes(settings)) == 40
        assert restored.doubt(store, utc_now()) == 4
        drained(store, settings)
        assert len(boxes(settings)) == 40  # nothing goes out on a mere guess
        later = utc_now() + quarantine("mailbox") + timedelta(minutes=1)
        asyncio.run(reconcile(store, later))
        asyncio.run(Drain(store, settings, clock=lambda: later).run())
        with store.read() as session:
            tally = ledger.tally(session, made)
        assert (tally.total("sent"), tally.total("unknown")) == (60, 0)
        assert len(boxes(settings)) == len(set(boxes(settings))) == 60
        store.close()
    finally:
        Mailbox.batch = 500


async def _some(store: Store, settings: Settings, batches: int) -> None:
    drain = Drain(store, settings, lanes=1)
    drain.progress = lambda outcome, size: None
    for _ in range(batches):
        await drain.one()
    for channel in drain.channels.values():
        await channel.close()
