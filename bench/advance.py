"""A tick that moves everyone who is due in a five-step drip, beside the bare statements that write the same rows: an INSERT of
the messages, an UPDATE of the passages for each step that they take.

python -m bench.advance sqlite|postgresql PEOPLE      prints the ratios of the drip's two says
"""

import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from bench import campaign, environment
from passaparola import engine
from passaparola.journeys import launch
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store

DRIP = """title: Drip
topic: newsletter
enter: {audience: readers}
steps:
  - {say: measured, by: [email]}
  - wait: 3 days
  - {say: again, by: [email]}
  - wait: 7 days
  - {say: once_more, by: [email]}
"""


def main(kind: str, people: int) -> list[float]:
    with environment.database(kind) as address, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        campaign.house(home)
        (home / "campaigns" / "drip.yaml").write_text(DRIP)
        for name in ("again", "once_more"):
            shutil.copytree(home / "templates" / "measured", home / "templates" / name)
        own = Settings(home=home, database_url=address, secret_key="x")
        store = Store(address).open()
        environment.filled(store, people)
        now, freeze = datetime.now(UTC), freezer(own)
        made = launch.prepare(store, own, "drip", freeze, actor="bench", now=now)
        launch.approve(store, own, made.id or 0, made.hash, freeze, approver="bench", now=now)
        engine.start_launch(store, own, made.id or 0, actor="bench", now=now)
        environment.analyse(store)
        ratios = []
        for round_, (days, steps) in enumerate(((4, 2), (12, 1))):  # a say and the wait after it; the last say
            now += timedelta(days=days)
            bare = _bare(store, made.id or 0, round_, steps)
            began = time.perf_counter()
            decided = engine.tick(store, own, now, actor="bench")
            assert decided.moved["said"] >= people, decided
            ratios.append((time.perf_counter() - began) / bare)
            environment.analyse(store)
        store.close()
        return ratios


def _bare(store: Store, launch_id: int, round_: int, steps: int) -> float:
    """The same rows into the same tables with nothing asked; undone, so that the tick finds them as they were."""
    given = {"launch": launch_id, "step": 100 + round_}
    with store.engine.execution_options(writes=True).connect() as connection:
        transaction = connection.begin()
        began = time.perf_counter()
        connection.execute(
            text("INSERT INTO message (enrolment_id, step, medium, batch_id) SELECT id, :step, 'email', 1 + id / 1000 FROM enrolment WHERE launch_id = :launch AND outcome IS NULL"),
            given,
        )  # fmt: skip
        on = "UPDATE enrolment SET step = step + 1, due_at = due_at WHERE launch_id = :launch AND outcome IS NULL"
        for _ in range(steps):
            connection.execute(text(on), given)
        spent = time.perf_counter() - began
        transaction.rollback()
    return spent


if __name__ == "__main__":
    print(*main(sys.argv[1], int(sys.argv[2])))
