"""What comes back: signed bodies of a hundred events through the web app and the applier, beside a server that only verifies
and appends; feedback beside bare inserts.

python -m bench.intake intake|feedback sqlite|postgresql
"""

import asyncio
import base64
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import func, select, text

from bench import campaign, environment
from passaparola import engine
from passaparola.inbound import pipeline
from passaparola.journeys import launch
from passaparola.outbox.render.frozen import freezer
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Event, RawBody

PEOPLE, PER_BODY, AT_ONCE = 10_000, 100, 16
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def sent(folder: Path, address: str) -> tuple[Settings, Store]:
    """A campaign that went out, an hour ago."""
    campaign.house(folder)
    environment.by_sendgrid(9)
    os.environ |= {
        "PASSAPAROLA_HOME": str(folder), "PASSAPAROLA_VAR": str(folder / "var"), "PASSAPAROLA_DATABASE_URL": address,
        "PASSAPAROLA_SECRET_KEY": "x", "PASSAPAROLA_SENDGRID_WEBHOOK_PUBLIC_KEY": PUBLIC,
    }  # fmt: skip
    own = Settings()
    store = Store(address).open()
    environment.filled(store, PEOPLE)
    now, freeze = datetime.now(UTC), freezer(own)
    made = launch.prepare(store, own, "measured", freeze, actor="bench", now=now)
    launch.approve(store, own, made.id or 0, made.hash, freeze, approver="bench", now=now)
    engine.start_launch(store, own, made.id or 0, actor="bench", now=now)
    with store.write() as session:
        session.execute(
            text("UPDATE batch SET state = 'sent', finished_at = :at, claimed_at = :at"),
            {"at": "2026-01-01 00:00:00.000000"},
        )
    environment.analyse(store)
    return own, store


def _bodies() -> list[bytes]:
    """Of each letter that it was processed, delivered and, of half, opened."""
    at = int(time.time()) - 500
    events = [
        {"email": f"reader{n}@example.org", "timestamp": at + late, "smtp-id": f"<{n}@shop.example>", "event": kind, "category": ["measured"],
         "sg_event_id": f"{kind}-{n}-abcdefghijklmnop", "sg_message_id": f"{n}.abcdefghijklmnop.recvd", "passaparola_message": f"{n}-0-email",
         "passaparola_attempt": "1", "response": "250 OK", "ip": "203.0.113.7", "useragent": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X)"}
        for kind, late in (("processed", 1), ("delivered", 3), ("open", 300))
        for n in range(1, PEOPLE + 1 if kind != "open" else PEOPLE // 2)
    ]  # fmt: skip
    return [orjson.dumps(events[start : start + PER_BODY]) for start in range(0, len(events), PER_BODY)]


def intake(kind: str) -> list[float]:
    bodies = _bodies()
    count = sum(len(orjson.loads(body)) for body in bodies)
    with environment.database(kind) as address, tempfile.TemporaryDirectory() as folder:
        own, store = sent(Path(folder), address)
        port, bare = environment.free_port(), environment.free_port()
        with (
            environment.running("-m", "passaparola.web.server", "--port", str(port), quiet=True),
            environment.running(
                "-m", "uvicorn", "bench.baseline:app", "--port", str(bare), "--log-level", "critical", quiet=True
            ),
        ):
            environment.answers(f"http://127.0.0.1:{port}/healthz")
            environment.answers(f"http://127.0.0.1:{bare}/healthz")
            peer = count / asyncio.run(_post(f"http://127.0.0.1:{bare}/webhooks/sendgrid", bodies))
            began = time.perf_counter()
            received = asyncio.run(_post(f"http://127.0.0.1:{port}/webhooks/sendgrid", bodies))
            pipeline.apply_inbound(store, own, utc_now())
            whole = time.perf_counter() - began
        with store.read() as session:
            assert session.execute(select(func.count()).select_from(Event)).scalar_one() == count
        store.close()
        return [count / whole / peer, count / received, count / whole]


async def _post(url: str, bodies: list[bytes]) -> float:
    import aiohttp

    waiting = list(bodies)
    async with aiohttp.ClientSession() as session:

        async def lane() -> None:
            while waiting:
                body = waiting.pop()
                stamp = str(int(time.time()))
                signature = base64.b64encode(KEY.sign(stamp.encode() + body, ec.ECDSA(SHA256()))).decode()
                headers = {
                    "X-Twilio-Email-Event-Webhook-Signature": signature,
                    "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
                }
                async with session.post(url, data=body, headers=headers) as answer:
                    assert answer.status == 202, answer.status

        began = time.perf_counter()
        await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
        return time.perf_counter() - began


def feedback(kind: str) -> list[float]:
    """The applier alone, beside the same events' rows handed to INSERT … ON CONFLICT DO NOTHING in transactions of 5,000."""
    bodies = _bodies()
    count = sum(len(orjson.loads(body)) for body in bodies)
    ratios = []
    for _ in range(2):
        with environment.database(kind) as address, tempfile.TemporaryDirectory() as folder:
            own, store = sent(Path(folder), address)
            bare = _bare_inserts(store, count)
            with store.write() as session:
                for number, body in enumerate(bodies):
                    session.add(
                        RawBody(
                            source="sendgrid",
                            key=str(number),
                            received_at=utc_now(),
                            headers={},
                            body=body,
                            state="new",
                        )
                    )
            began = time.perf_counter()
            pipeline.apply_inbound(store, own, utc_now())
            rate = count / (time.perf_counter() - began)
            ratios.append(rate / bare)
            store.close()
    return [*ratios, rate]


def _bare_inserts(store: Store, count: int) -> float:
    sql = (
        "INSERT INTO bare (source, source_id, contact_id, kind, at, properties) VALUES (:s, :i, :c, :k, :a, :p) "
        "ON CONFLICT (source, source_id) DO NOTHING"
    )
    rows = [
        {"s": "sendgrid", "i": f"delivered-{n}-abcdefghijklmnop", "c": n % PEOPLE + 1, "k": "delivered", "a": "2026-11-01 12:00:00.000000",
         "p": '{"attempt": 1, "to": "0123456789012345678901234567890123456789", "campaign": "measured", "launch": 1}'}
        for n in range(count)
    ]  # fmt: skip
    with store.write() as session:
        kinds = ("BIGINT", "TIMESTAMP", "JSONB") if not store.on_sqlite else ("INTEGER", "TEXT", "TEXT")
        session.execute(
            text(
                f"CREATE TABLE bare (id {'BIGSERIAL' if not store.on_sqlite else 'INTEGER'} PRIMARY KEY, source TEXT, source_id TEXT, contact_id {kinds[0]}, kind TEXT, at {kinds[1]}, properties {kinds[2]}, UNIQUE (source, source_id))"
            )
        )
        session.execute(text("CREATE INDEX bare_of_contact ON bare (contact_id, kind, at)"))
    began = time.perf_counter()
    for start in range(0, count, 5_000):
        with store.write() as session:
            session.execute(text(sql), rows[start : start + 5_000])
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    print(*{"intake": intake, "feedback": feedback}[sys.argv[1]](sys.argv[2]))
