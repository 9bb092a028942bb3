"""Clicks: followed links, each click on disk before its answer, beside a bare route that appends to a file and fsyncs in
groups; and several web processes beside one.

python -m bench.clicks clicks sqlite|postgresql
python -m bench.clicks several postgresql
"""

import asyncio
import itertools
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, text
from sqlmodel import Session

from bench import environment
from bench.intake import PEOPLE, sent
from passaparola.channel.message_ids import MessageId
from passaparola.outbox.deliver import run_on_uvloop
from passaparola.outbox.links import LinkRef, Links
from passaparola.settings import Settings
from passaparola.store.bulk import insert_many
from passaparola.store.database import Store
from passaparola.store.models import Event, LinkEvent

BEFORE = 1_000_000  # events that the store holds already
AT_ONCE, CLICKS, ROUNDS = 64, 8_000, 3
OURS, WITHOUT = (
    ("passaparola.web.server", "--port"),
    ("uvicorn", "bench.baseline:clicks", "--log-level", "critical", "--port"),
)


def clicks(kind: str) -> list[float]:
    """A ratio per round; and clicks a second."""
    with environment.database(kind) as address, tempfile.TemporaryDirectory() as folder:
        own, store = sent(Path(folder), address)
        _a_year(store)
        people = itertools.count(1)
        rates, ratios = [], []
        for _ in range(ROUNDS):
            without = _rate(own, people, WITHOUT, 1)
            rates.append(_rate(own, people, OURS, 1))
            ratios.append(rates[-1] / without)
        _all_there(store, ROUNDS * CLICKS)
        return [*ratios, sorted(rates)[ROUNDS // 2]]


def several(kind: str) -> list[float]:
    """How many times as many clicks two web processes take as one, on two cores that they share with database and clients."""
    with environment.database(kind) as address, tempfile.TemporaryDirectory() as folder:
        own, store = sent(Path(folder), address)
        _a_year(store)
        people = itertools.count(1)
        ratios = []
        for _ in range(ROUNDS):
            one = _rate(own, people, OURS, 1)
            ratios.append(_rate(own, people, OURS, 2) / one)
        _all_there(store, 2 * ROUNDS * CLICKS)
        return ratios


def _rate(own: Settings, people: "itertools.count[int]", server: tuple[str, ...], processes: int) -> float:
    links = Links(own.secret, "")
    paths = [
        links.clicks(LinkRef(MessageId(next(people) % PEOPLE + 1, 0, "email"), 1, "en"), 1)[0] for _ in range(CLICKS)
    ]
    with ExitStack() as stack:
        ports = [environment.free_port() for _ in range(processes)]
        for port in ports:
            stack.enter_context(environment.running("-m", *server, str(port), quiet=True))
        for port in ports:
            environment.answers(f"http://127.0.0.1:{port}/healthz")
        return CLICKS / run_on_uvloop(_follow(ports, paths))


async def _follow(ports: list[int], paths: list[str]) -> float:
    """Seconds. Hardly more than the bytes, so that the server is what is measured."""
    waiting = list(paths)

    async def visitor(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while waiting:
            writer.write(
                f"GET {waiting.pop()} HTTP/1.1\r\nHost: shop.example\r\n"
                "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) Safari/604.1\r\n\r\n".encode()
            )
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert head.startswith(b"http/1.1 302"), head
            _, _, length = head.partition(b"content-length: ")
            await reader.readexactly(int(length.partition(b"\r\n")[0] or 0))
        writer.close()

    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(visitor(ports[n % len(ports)]) for n in range(AT_ONCE)))
    return asyncio.get_running_loop().time() - began


def _a_year(store: Store) -> None:
    """A million deliveries, opens and clicks of letters that went out before: no store that is clicked on is empty."""
    first = 10_000_000  # enrolments of earlier launches
    kinds = ("delivered", "opened", "delivered", "clicked")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    blank = {"amount": None, "currency": None, "step": 0, "medium": "email", "machine": False, "source": "bench"}

    def fill(session: Session) -> None:
        for start in range(0, BEFORE, 20_000):
            rows = [
                {"id": n + 1, "contact_id": n % PEOPLE + 1, "kind": kinds[n % 4], "at": at + timedelta(seconds=n), "received_at": at + timedelta(seconds=n),
                 "source_id": f"{n}", "properties": {"link": n % 5} if kinds[n % 4] == "clicked" else {}, "enrolment_id": first + n // 4, **blank}
                for n in range(start, start + 20_000)
            ]  # fmt: skip
            insert_many(session, Event, rows)

    environment.with_its_indexes(store, "event", fill)
    if not store.on_sqlite:
        with store.write() as session:
            session.execute(text(f"SELECT setval('event_id_seq', {BEFORE + 1})"))
    environment.analyse(store)


def _all_there(store: Store, count: int) -> None:
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(LinkEvent)).scalar_one() == count
    store.close()


if __name__ == "__main__":
    print(*{"clicks": clicks, "several": several}[sys.argv[1]](sys.argv[2]))
