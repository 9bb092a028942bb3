"""Why the HTTP protocol is ours (ADR 23): the kept servers with header time-outs let a crowd of dawdlers keep everybody out.

A test that fails here is good news: that server could take the place of `passaparola/web/server.py`. What ours does with
such a crowd is in test_server.py.
"""

import resource
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.processes import free_port
from tests.web.test_server import HEADERS, dawdler, healthy

FILES, CROWD = 256, 700
GRANIAN = ("-m", "granian", "--interface", "asgi", "--workers", "1", "--no-ws", "--http", "1",
           "--http1-header-read-timeout", "10000", "--backlog", "2048", "--log-level", "critical", "--host", "127.0.0.1")  # fmt: skip
HYPERCORN = ("-m", "hypercorn", "-c", "{config}", "--log-level", "CRITICAL")


async def app(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    """An application that answers anything at once."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def serving(command: tuple[str, ...], port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, *command, "tests.web.test_kept_servers:app"],
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert any(healthy(port) or time.sleep(0.2) for _ in range(100)), "it does not start"
        yield
    finally:
        process.terminate()
        process.wait(20)


def answers(port: int, within: float) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=within):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("name", ["granian", "hypercorn"])
def test_a_kept_server_answers_nobody_while_dawdlers_hold_its_files(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name)
    port = free_port()
    if name == "granian":
        command = (*GRANIAN, "--port", str(port))
    else:
        config = tmp_path / "hypercorn.toml"
        config.write_text(
            "read_timeout = 10\nkeep_alive_timeout = 5\nh11_max_incomplete_size = 65536\nbacklog = 2048\n"
        )
        command = (*(part.format(config=config) for part in HYPERCORN), "--bind", f"127.0.0.1:{port}")
    with serving(command, port):
        crowd = [dawdler(port, number, HEADERS) for number in range(CROWD)]
        try:
            assert not any(answers(port, within=1) for _ in range(3))
        finally:
            for one in crowd:
                if one:
                    one.close()
