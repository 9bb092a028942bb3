"""Who is slow or comes with a crowd keeps nobody else out: against the real server, in a process that may open 1,024 files."""

import contextlib
import resource
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import free_port, serving

CROWD = 600


@pytest.fixture
def port(tmp_path: Path, database: str) -> Iterator[int]:
    """F31"""
    found = free_port()
    environment = {
        "PASSAPAROLA_VAR": str(tmp_path),
        "PASSAPAROLA_DATABASE_URL": database,
        "PASSAPAROLA_EVENTS_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
    process = serving(found, patient=True, environment=environment, files=1024)
    try:
        for _ in range(100):
            if healthy(found):
                break
            time.sleep(0.1)
        yield found
    finally:
        process.kill()
        process.join()


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def dawdler(port: int, number: int, said: bytes) -> socket.socket | None:
    """Someone from one of many addresses who begins to say something and stops."""
    one = socket.socket()
    try:
        one.bind((f"127.0.{1 + number % 8}.1", 0))
        one.settimeout(2)
        one.connect(("127.0.0.1", port))
        one.sendall(said)
    except OSError:
        one.close()
        return None
    return one


HEADERS = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY = b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n{"


def test_a_crowd_of_dawdlers_keeps_nobody_out(port: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    crowd = [dawdler(port, n, HEADERS if n % 2 else BODY) for n in range(2 * CROWD)]
    try:
        assert sum(one is not None for one in crowd) > CROWD
        assert all(healthy(port) for _ in range(20))
    finally:
        for one in crowd:
            if one:
                one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert healthy(port)


@pytest.mark.parametrize("said", [HEADERS, BODY, b""], ids=["headers", "body", "nothing"])
def test_who_stops_in_the_middle_is_shown_out(port: int, said: bytes) -> None:
    one = dawdler(port, 0, said)
    assert one is not None
    one.settimeout(20)
    try:
        answer = one.recv(4096)  # an answer, or nothing: the line is closed
    except ConnectionError:
        answer = b""
    assert answer == b"" or b" 408 " in answer.splitlines()[0]
    one.close()


def test_a_head_without_end_is_cut_off_and_the_next_one_is_answered(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as talker:
        talker.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        with contextlib.suppress(ConnectionError):
            for n in range(40):
                talker.sendall(f"X-{n}: ".encode() + b"x" * 4_000 + b"\r\n")
            assert talker.recv(100) == b""
    assert healthy(port)


def test_one_address_has_its_share_and_no_more(port: int) -> None:
    crowd = [dawdler(port, 0, HEADERS) for _ in range(260)]
    time.sleep(0.5)
    closed = 0
    for one in crowd:
        if one is None:
            closed += 1
            continue
        one.setblocking(False)
        try:
            closed += one.recv(1) == b""
        except BlockingIOError:
            pass
        except ConnectionError:
            closed += 1
        one.close()
    assert closed >= 60
    assert healthy(port)
