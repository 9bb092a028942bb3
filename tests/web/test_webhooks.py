"""The world's ears: believed by signature over raw bytes, on disk before the answer, refused when too much."""

import gzip
import json
import socket
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from passaparola.channel.registry import receiver_class
from passaparola.errors import Forged
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import RawBody
from tests import shops
from tests.conftest import ROOT
from tests.processes import free_port, serving

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

VECTORS = ROOT.parent / "shared" / "specs" / "signature_vectors.json"
GOOD = {
    "shopify": lambda: shops.shopify(shops.order()),
    "woocommerce": lambda: shops.woocommerce(shops.woo_order()),
    "stripe": lambda: shops.stripe(shops.stripe_event()),
    "events": lambda: shops.events({"event": "Order Completed", "email": "a@example.org", "timestamp": shops.AT}),
}


@pytest.fixture
def web(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    for name, secret in shops.SECRETS.items():
        monkeypatch.setenv(f"PASSAPAROLA_{name}", secret)
    from passaparola.web import link_context
    from passaparola.web.app import app

    link_context.store.cache_clear()
    with TestClient(app) as client:
        yield client
    link_context.store().close()
    link_context.store.cache_clear()


def path(source: str) -> str:
    return "/events" if source == "events" else f"/webhooks/{source}"


def kept(store: Store) -> int:
    with store.read() as session:
        return int(session.execute(select(func.count()).select_from(RawBody)).scalar_one())


@pytest.mark.parametrize("source", GOOD)
def test_what_is_signed_is_on_disk_byte_for_byte_and_once(web: TestClient, store: Store, source: str) -> None:
    headers, body = GOOD[source]()
    for _ in range(8):  # Shopify sends it eight times in four hours
        assert web.post(path(source), content=body, headers=headers).status_code == 202
    with store.read() as session:
        (row,) = session.execute(select(RawBody)).scalars()
        assert (bytes(row.body), row.state) == (body, "new")


def forgeries(source: str) -> list[tuple[str, dict[str, str], bytes]]:
    """Fourteen ways not to be believed."""
    headers, body = GOOD[source]()
    name = next(key for key in headers if key.lower().endswith(("hmac-sha256", "signature")))
    other, other_body = GOOD[source]()[0], body.replace(b"IT", b"FR") + b" "
    signature = headers[name]
    wrong = "A" * 43 + "=" if source != "stripe" else f"t={int(time.time())},v1={'0' * 64}"
    wrong = f"v1,{wrong}" if source == "events" else wrong
    return [
        ("no signature", {k: v for k, v in headers.items() if k != name}, body),
        ("an empty one", {**headers, name: ""}, body),
        ("another one", {**headers, name: wrong}, body),
        ("a short one", {**headers, name: signature[:-8]}, body),
        (
            "a longer one",
            {**headers, name: signature.replace("v1,", "v1,AAAA") if source == "events" else signature + "AAAA"},
            body,
        ),
        ("not an encoding at all", {**headers, name: "\u00e9\u00e9".encode().decode("latin-1")}, body),
        ("of another body", other, other_body),
        ("one byte more", headers, body + b"\n"),
        ("one byte less", headers, body[:-1]),
        ("spaced anew", headers, json.dumps(json.loads(body), indent=1).encode()),
        ("with keys sorted", headers, json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()),
        ("under another secret", {**headers, name: signature.swapcase()}, body),
        ("empty", headers, b""),
        ("too old", _old(source), body),
    ]


def _old(source: str) -> dict[str, str]:
    """Where there is a time in it; elsewhere the name of the delivery is missing, which dedupes."""
    match source:
        case "stripe":
            return shops.stripe(shops.stripe_event(), time.time() - 400)[0]
        case "events":
            return {**GOOD["events"]()[0], "webhook-timestamp": str(int(time.time()) - 400)}
        case "shopify":
            headers, _ = GOOD["shopify"]()
            return {k: v for k, v in headers.items() if k != "X-Shopify-Webhook-Id"}
    headers, _ = GOOD["woocommerce"]()
    return {**headers, "X-WC-Webhook-Signature": "webhook_id=7"}


@pytest.mark.parametrize("source", GOOD)
def test_fourteen_forgeries_change_no_row(web: TestClient, store: Store, source: str) -> None:
    tried = forgeries(source)
    assert len(tried) == 14
    for name, headers, body in tried:
        answer = web.post(path(source), content=body, headers={k: v.encode("latin-1") for k, v in headers.items()})  # type: ignore[misc]
        assert answer.status_code == 401, (name, answer.text)
    assert kept(store) == 0


def test_the_published_vectors_are_believed(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    if not VECTORS.is_file():
        pytest.skip("the signature vectors are not here")
    import base64
    from datetime import UTC, datetime

    import standardwebhooks.webhooks as library

    for vector in json.loads(VECTORS.read_text()):
        source = {"standardwebhooks": "events"}.get(vector["provider"], vector["provider"])
        if source not in GOOD:
            continue
        monkeypatch.setenv(
            f"PASSAPAROLA_{source.upper()}_SECRET",
            f"another, {vector['secret']}" if source != "events" else vector["secret"],
        )
        headers = {name.lower(): value for name, value in vector["headers"].items()}
        at = datetime.fromtimestamp(
            int(headers.get("webhook-timestamp") or vector.get("timestamp") or time.time()), tz=UTC
        )

        class Then(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return at  # noqa: B023

        monkeypatch.setattr(library, "datetime", Then)
        body = base64.b64decode(vector["body_b64"])
        assert receiver_class(source)().verify(headers, body, at)
        with pytest.raises(Forged):
            receiver_class(source)().verify(headers, body + b" ", at)


def test_while_a_secret_is_changed_both_hold(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("PASSAPAROLA_SHOPIFY_SECRET", f"the new one, {shops.SECRETS['SHOPIFY_SECRET']}")
    headers, body = GOOD["shopify"]()
    assert receiver_class("shopify")().verify({k.lower(): v for k, v in headers.items()}, body, utc_now()) == "d-1"


def test_woocommerces_unsigned_greeting_is_answered_and_not_kept(web: TestClient, store: Store) -> None:
    answer = web.post(
        "/webhooks/woocommerce", content=b"webhook_id=7", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert (answer.status_code, kept(store)) == (200, 0)
    assert web.post("/webhooks/woocommerce", content=b"webhook_id=7&order=1").status_code == 401


def test_nothing_listens_without_a_secret(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch, web: TestClient
) -> None:
    monkeypatch.delenv("PASSAPAROLA_STRIPE_SECRET")
    headers, body = GOOD["stripe"]()
    assert web.post("/webhooks/stripe", content=body, headers=headers).status_code == 404
    assert web.post("/webhooks/nobody", content=body).status_code == 404
    assert web.post("/webhooks/mailbox", content=body).status_code == 404


def test_deep_json_that_is_signed_is_kept_and_shown_as_odd(web: TestClient, store: Store, settings: Settings) -> None:
    from passaparola.inbound import pipeline
    from passaparola.inbound import store as inbound_store

    body = b'{"event":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    from datetime import UTC, datetime

    from standardwebhooks.webhooks import Webhook

    now = datetime.now(UTC)
    signature = Webhook(shops.SECRETS["EVENTS_SECRET"]).sign("deep", now, body.decode())
    headers = {"webhook-id": "deep", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    assert web.post("/events", content=body, headers=headers).status_code == 202
    assert not pipeline.apply_inbound(store, settings, utc_now())
    with store.read() as session:
        assert inbound_store.count_bodies(session).invalid[0]["problem"] == "this is not JSON"


@pytest.fixture
def server(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator["Server"]:
    for name, secret in shops.SECRETS.items():
        monkeypatch.setenv(f"PASSAPAROLA_{name}", secret)
    started = Server()
    yield started
    started.stop()


class Server:
    """A real one, in a process that can die."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self.process = serving(self.port, patient=False)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the web app did not come up")

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    stop = kill

    def memory(self) -> int:
        """Kilobytes in RAM."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])


def says(port: int, request: bytes, pieces: Iterator[bytes] = iter(())) -> bytes:
    """A request as bytes; gives the status line."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        try:
            wire.sendall(request)
            for piece in pieces:
                wire.sendall(piece)
        except OSError:
            pass  # it was refused while we were still talking
        try:
            return wire.recv(64).split(b"\r\n")[0]
        except OSError:
            return b"reset"


def test_bodies_that_are_too_much_are_refused_and_memory_stays(server: Server, store: Store) -> None:
    before = server.memory()
    head = b"POST /webhooks/shopify HTTP/1.1\r\nHost: x\r\n"
    assert b"413" in says(server.port, head + b"Content-Length: 104857600\r\n\r\n" + b"x" * 65536)
    endless = (b"10000\r\n" + b"x" * 65536 + b"\r\n" for _ in range(1600))  # 100 MB
    assert says(server.port, head + b"Transfer-Encoding: chunked\r\n\r\n", endless).split(b" ")[1:2] in ([b"413"], [])
    bomb = gzip.compress(b"0" * 50_000_000)
    encoded = head + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    assert b"415" in says(server.port, encoded + bomb)
    assert server.memory() - before < 50_000
    assert kept(store) == 0


@pytest.mark.timeout(120)
def test_whoever_is_answered_is_on_disk_whenever_the_receiver_dies(server: Server, store: Store) -> None:
    acknowledged: list[str] = []
    stop = threading.Event()

    def send(lane: int) -> None:
        n = 0
        while not stop.is_set() and n < 4_000:
            n += 1
            headers, body = shops.shopify(shops.order(n), delivery=f"{lane}-{n}")
            request = urllib.request.Request(f"http://127.0.0.1:{server.port}/webhooks/shopify", body, headers)
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    if answer.status == 202:
                        acknowledged.append(f"{lane}-{n}")
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)

    lanes = [threading.Thread(target=send, args=(lane,)) for lane in range(4)]
    for lane in lanes:
        lane.start()
    for _ in range(4):
        enough, until = len(acknowledged) + 25, time.monotonic() + 20
        while len(acknowledged) < enough and time.monotonic() < until:
            time.sleep(0.02)
        server.kill()
        server.start()
    stop.set()
    for lane in lanes:
        lane.join()
    with store.read() as session:
        stored = set(session.execute(select(col(RawBody.key))).scalars())
    assert len(acknowledged) >= 100
    assert not set(acknowledged) - stored


def test_a_full_disk_is_a_503_and_what_was_acknowledged_stays(web: TestClient, store: Store) -> None:
    if not store.on_sqlite:
        pytest.skip("PostgreSQL's disk is not ours to fill")
    from sqlalchemy import event

    from passaparola.web import link_context

    engine = link_context.store().engine

    @event.listens_for(engine, "connect")
    def full(dbapi: Any, record: Any) -> None:
        pages = dbapi.execute("PRAGMA page_count").fetchone()[0]
        dbapi.execute(f"PRAGMA max_page_count={pages + 8}")

    engine.dispose()
    answers = []
    for n in range(60):
        headers, body = shops.shopify(shops.order(n, note="x" * 2_000), delivery=f"d-{n}")
        answers.append(web.post("/webhooks/shopify", content=body, headers=headers).status_code)
    assert set(answers) == {202, 503}
    assert kept(store) == answers.count(202)
    event.remove(engine, "connect", full)
    engine.dispose()
    headers, body = shops.shopify(shops.order(61), delivery="after")
    assert web.post("/webhooks/shopify", content=body, headers=headers).status_code == 202
    with store.read() as session:
        from sqlalchemy import text

        assert session.execute(text("PRAGMA integrity_check")).scalar() == "ok"
