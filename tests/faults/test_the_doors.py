"""What comes in, under the faults of reliability: a 2xx means that it is on disk, and nothing that is forged or huge harms anyone."""

import base64
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from passaparola.contacts.imports.columns import ColumnMapping
from passaparola.contacts.imports.importing import Import
from passaparola.inbound import pipeline
from passaparola.settings import Settings
from passaparola.store.database import Store, utc_now
from passaparola.store.models import Audit, Consent, Contact, Event, LinkEvent, RawBody
from tests import shops
from tests.conftest import NOW, Provider
from tests.faults.outages import away
from tests.ledger.world import World
from tests.people import crowd, ref
from tests.processes import PROCESSES, free_port, serving
from tests.web.test_webhooks import forgeries


@pytest.fixture
def door(settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The web app behind its own door, as in life."""
    for name, value in shops.SECRETS.items():
        monkeypatch.setenv(f"PASSAPAROLA_{name}", value)
    port = free_port()
    process = serving(port, patient=True)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.join()


def told(door: str, number: int, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, float]:
    """The answer to an order's webhook (or 0), and the seconds that it took."""
    own, said = shops.shopify(shops.order(number), delivery=f"d-{number}")
    request = urllib.request.Request(f"{door}/webhooks/shopify", body if body is not None else said, headers or own)
    began = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, time.monotonic() - began
    except urllib.error.HTTPError as error:
        return error.code, time.monotonic() - began
    except OSError:
        return 0, time.monotonic() - began


def kept(store: Store) -> set[str]:
    with store.read() as session:
        return set(session.execute(select(col(RawBody.key))).scalars())


def test_a_flood_of_forgeries_keeps_nobody_waiting_and_nothing(door: str, store: Store) -> None:
    """F11"""
    stop, refused = threading.Event(), []

    def forge() -> None:
        while not stop.is_set():
            for _, headers, body in forgeries("shopify"):
                refused.append(
                    told(door, 0, body, {k: v.encode("latin-1").decode("latin-1") for k, v in headers.items()})[0]
                )

    lanes = [threading.Thread(target=forge) for _ in range(3)]
    for lane in lanes:
        lane.start()
    answers = [told(door, n) for n in range(30)]
    stop.set()
    for lane in lanes:
        lane.join()
    assert {status for status, _ in answers} == {202}
    assert sorted(seconds for _, seconds in answers)[27] < 2, "nine of ten are answered while it lasts"
    assert len(kept(store)) == 30
    assert 202 not in refused


def test_while_the_database_is_away_nothing_is_answered_that_is_not_kept_and_nobody_hangs(
    door: str, store: Store
) -> None:
    """F13"""
    assert told(door, 1)[0] == 202
    with away(store):
        answers = [told(door, n) for n in (2, 3)]
    assert {status for status, _ in answers} <= {503, 0}
    assert max(seconds for _, seconds in answers) < 8
    until, number, status = time.monotonic() + 10, 4, 0
    while status != 202 and time.monotonic() < until:
        status = told(door, number)[0]
    assert status == 202
    assert kept(store) == {"d-1", "d-4"}


def test_a_list_of_a_hundred_thousand_and_a_body_that_lies_of_its_length_harm_nobody(
    door: str, store: Store, settings: Settings
) -> None:
    """F30"""
    huge = b"[" + b"1," * 400_000 + b"1]"
    signed = base64.b64encode(shops.digest(shops.SECRETS["SHOPIFY_SECRET"], huge)).decode()
    headers, body = shops.shopify(shops.order(7), delivery="lies")
    status, seconds = told(door, 7, body, {**headers, "Content-Length": str(len(body) - 10)})
    assert status in (401, 400, 0)
    assert seconds < 5
    assert told(door, 7, huge, {**headers, "X-Shopify-Webhook-Id": "huge", "X-Shopify-Hmac-Sha256": signed})[0] == 202
    assert told(door, 8)[0] == 202
    assert kept(store) == {"d-8", "huge"}
    pipeline.apply_inbound(store, settings, utc_now())
    with store.read() as session:
        assert session.execute(select(col(RawBody.state)).where(col(RawBody.key) == "huge")).scalar_one() == "invalid"


def test_taps_with_tokens_of_nobody_are_no_answers(door: str, store: Store, settings: Settings) -> None:
    """F32, short: whoever holds no letter changes nothing, however often they try."""
    for n in range(200):
        request = urllib.request.Request(f"{door}/s/1-0-email.{n:022}", b"score=9")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=10)
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Event)).scalar_one() == 0


def test_a_scanner_that_follows_every_link_of_every_letter_says_no_for_nobody(
    door: str, store: Store, settings: Settings, sendgrid: Provider
) -> None:
    """F33"""
    from passaparola.outbox.links import Links

    here = World(store, settings, sendgrid, crowd(store, 40, NOW))
    here.launched()
    here.drain()
    links = Links(settings.secret, door)
    with store.read() as session:
        before = session.execute(select(func.count()).select_from(Consent)).scalar_one()
    times = []
    for n in range(1, 41):
        for url in (
            links.unsubscribe(f"{n}-0-email"),
            links.preferences(f"{n}-0-email"),
            links.clicks(ref(f"{n}-0-email"), 1)[0],
        ):
            request = urllib.request.Request(url, headers={"User-Agent": "Barracuda Sentinel"})
            began = time.monotonic()
            with suppress(urllib.error.HTTPError):  # 302, which is not followed; 404
                urllib.request.build_opener(_Stay).open(request, timeout=10).close()
            times.append(time.monotonic() - began)
    with store.read() as session:
        assert session.execute(select(func.count()).select_from(Consent)).scalar_one() == before
        assert all(session.execute(select(col(LinkEvent.bot_reason))).scalars())
    assert sorted(times)[len(times) // 2] < 1


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *given: object) -> None:
        return None


def _dies_in_the_second_chunk(database: str, home: str, file: str) -> None:
    own = Settings(home=Path(home), database_url=database, secret_key="a secret of the tests")
    seen: list[int] = []

    def progress(rows: int, at: int) -> None:
        seen.append(rows)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    Import(Store(database), own, Path(file), MAPPING, ("newsletter",), "the till").run(NOW, progress)


MAPPING = ColumnMapping(columns={"email": "email", "name": "first_name"})


def test_an_import_that_is_killed_and_run_again_ends_as_if_it_never_was(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """F29"""
    file = tmp_path / "people.csv"
    file.write_text("email,name\n" + "".join(f"p{n}@example.org,P{n}\n" for n in range(12_000)), encoding="utf-8")
    process = PROCESSES.Process(target=_dies_in_the_second_chunk, args=(store.url, str(settings.home), str(file)))
    process.start()
    process.join(60)
    assert process.exitcode == -9
    with store.read() as session:
        half = session.execute(select(func.count()).select_from(Contact)).scalar_one()
    assert 0 < half < 12_000
    tally = Import(store, settings, file, MAPPING, ("newsletter",), "the till").run(NOW, lambda rows, at: None)
    assert (tally.rows, tally.new, tally.unchanged) == (12_000, 12_000 - half, half)
    with store.read() as session:
        for table in (Contact, Consent):
            assert session.execute(select(func.count()).select_from(table)).scalar_one() == 12_000


def test_a_file_of_torn_rows_says_of_each_what_became_of_it(store: Store, settings: Settings, tmp_path: Path) -> None:
    """F29"""
    file = tmp_path / "torn.csv"
    rows = [b"\xef\xbb\xbfemail,name", b"a@example.org,\x00Ada", b"b@example.org", b'"c@example.org,Cleo', b"=1+1,Eve",
            b"d@example.org," + b"x" * 2_000_000, "e@example.org,Zoë".encode("latin-1"), b"A@example.org,again"]  # fmt: skip
    file.write_bytes(b"\n".join(rows) + b"\n")
    tally = Import(store, settings, file, MAPPING, ("newsletter",), "the till").run(NOW, lambda rows, at: None)
    assert tally.rows == tally.new + tally.changed + tally.unchanged + tally.rejected
    assert tally.rejected >= 1


def test_what_is_let_go_is_audited_by_number_only(store: Store, settings: Settings) -> None:
    """F26"""
    from datetime import timedelta

    from passaparola.privacy import retention

    crowd(store, 2, NOW)
    with store.write() as session:
        session.add(
            RawBody(
                source="t",
                key="old",
                received_at=NOW - timedelta(days=90),
                body=b"reader0@example.org",
                state="applied",
            )
        )
    gone = retention.purge_expired(store, settings, NOW)
    assert gone["bodies"] == 1
    with store.read() as session:
        details = session.execute(select(col(Audit.detail)).where(col(Audit.action) == "let go")).scalars().all()
        consents = session.execute(select(func.count()).select_from(Consent)).scalar_one()
    assert all(isinstance(value, int) for detail in details for value in detail.values())
    assert consents == 2


def test_a_letter_of_thirty_megabytes_is_kept_or_refused_and_the_next_one_is_heard(
    store: Store, settings: Settings
) -> None:
    """F35"""
    from passaparola.inbound import store as inbound_store
    from tests.providers import form, letter

    for number, size in enumerate((20_000_000, 10)):
        kind, body = form(letter("x" * size, name=f"<{number}@example.org>"))
        with store.write() as session:
            inbound_store.store_body(
                session, inbound_store.NewBody("sendgrid_inbound", f"{number}", {"content-type": kind}, body, utc_now())
            )
    pipeline.apply_inbound(store, settings, utc_now())
    with store.read() as session:
        states = list(session.execute(select(col(RawBody.state)).order_by(col(RawBody.id))).scalars())
    assert len(states) == 2
    assert "new" not in states
