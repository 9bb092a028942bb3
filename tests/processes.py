"""Our processes as they are in life, which can be killed: forked from one that has imported, since that is what takes the time."""

import multiprocessing
import os
import resource
import socket
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "tests.ledger.world",
        "passaparola.web.app",
        "passaparola.web.server",
        "tests.fakes.sendgrid",
        "aiohttp",
        "psycopg",
    ]
)


def serving(
    port: int, *, patient: bool, environment: Mapping[str, str] | None = None, files: int = 0
) -> ForkServerProcess:
    """The web app on a port: behind its own door (`web.serve`) or bare. `files`: the most that it may hold open."""
    process = PROCESSES.Process(target=_serve, args=(port, patient, {**os.environ, **(environment or {})}, files))
    process.start()
    return process


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _serve(port: int, patient: bool, environment: dict[str, str], files: int) -> None:
    import uvicorn

    from passaparola import settings
    from passaparola.web import link_context, server

    os.environ.clear()
    os.environ.update(environment)
    settings.get_settings.cache_clear()
    link_context.store.cache_clear()
    if files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if patient:
        sys.argv = ["web.serve", "--port", str(port)]
        server.main()
    else:
        uvicorn.run("passaparola.web.app:app", port=port, log_level="critical")
