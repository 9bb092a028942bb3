"""The whole path of a campaign beside its peers: the SDK, pooled smtplib, the wire itself; and a row claimed per message."""

import os
import smtplib
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import orjson

from bench import campaign, environment
from bench.figures import Figure

SIZE, BY_SDK, BY_SMTPLIB, ROUNDS = 100_000, 300, 200, 3
SMTP_SIZE = 20_000


def wording(count: int = 1_000) -> tuple[Any, Any, list[dict[str, Any]]]:
    """The frozen wording, cut; and what fills it for so many readers."""
    from passaparola.outbox.render.frozen import cut_wording, freeze_wordings, launch_constants
    from passaparola.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        campaign.house(home)
        said = freeze_wordings(home, "measured", "email", "measured", Settings(home=home, secret_key="x"))["en"]
    sender = {"organisation": "O", "postal_address": "P", "public_url": "u"}
    fixed = launch_constants({"campaign": "measured", "title": "M", "sender": sender})
    given = [
        {
            **fixed,
            "contact": {"first_name": f"Reader {n}", "country": "IT" if n % 3 else "DE", **campaign.traits(n)},
            "links": ["https://shop.example/spring?utm_source=email"],
            "unsubscribe_url": f"https://shop.example/u/{n}-0-email.abcdefghijklmnopqrstuv",
            "preferences_url": f"https://shop.example/preferences/{n}-0-email.abcdefghijklmnopqrstuv",
            "pixel_url": "",
        }
        for n in range(count)
    ]
    return said, cut_wording(said, "en", fixed), given


def stock(said: Any) -> dict[str, Any]:
    """The same compiled sources in sandboxed Jinja2."""
    from jinja2.sandbox import SandboxedEnvironment

    return {
        name: SandboxedEnvironment(autoescape=name == "html", keep_trailing_newline=True).from_string(source)
        for name, source in said.texts.items()
    }


def render() -> list[Figure]:
    said, cut, given = wording()
    plain = stock(said)
    for values in given[:200]:
        filled = {name: part.fill(cut.values(values)) for name, part in cut.skeleton.parts.items()}
        assert filled == {name: template.render(values) for name, template in plain.items()}, "not byte-equal"
    size = len(plain["html"].render(given[0]))
    ratios = []
    for _ in range(7):
        slow = cpu(lambda: [template.render(values) for values in given for template in plain.values()])
        fast = cpu(lambda: [cut.values(values) for values in given])
        ratios.append(slow / fast)
    each = f"{fast / len(given) * 1e6:.1f} µs of CPU, {size:,} bytes of HTML"
    return [Figure("render, per contact", "sandboxed Jinja2, plain (byte-equal)", ratios, at_least=8, note=each)]


def cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def send() -> list[Figure]:
    """SendGrid's shape; each round measures the peers and us against the same sink."""
    found = []
    with environment.sink("http") as port:
        environment.by_sendgrid(port)
        for kind, workers in (("sqlite", 1), ("postgresql", 1), ("postgresql", 2)):
            with environment.database(kind) as database:
                environment.in_its_own("bench.path", database, 1_000, 1, SIZE)  # fills
                ratios, wires, rates = [], [], []
                for _ in range(ROUNDS):
                    by_sdk, by_wire = _sdk(port), _wire(port)
                    planning, sending, _ = environment.in_its_own("bench.path", database, SIZE, workers)
                    rates.append(SIZE / (planning + sending))
                    ratios.append(rates[-1] / by_sdk)
                    wires.append(rates[-1] / by_wire)
                rate = f"{statistics.median(rates):,.0f} recipients/s of {SIZE:,}, planning {planning / SIZE * 1e6:.0f} µs each"
                whole = f"audience → plan → render → send → record, {kind}, {workers} worker{'s' * (workers > 1)}"
                found += [
                    Figure(whole, "`sendgrid` SDK one by one (render + send only)", ratios, at_least=40, note=rate),
                    Figure(whole, "the wire limit: holes + 1,000-recipient bodies, no database", wires, at_least=0.4),
                ]
    return found


def _sdk(port: int) -> float:
    """Recipients a second, as its documentation shows it: one Mail, one send."""
    from sendgrid import SendGridAPIClient
    from sendgrid.helpers.mail import Mail

    said, _, given = wording(BY_SDK)
    plain = stock(said)
    client = SendGridAPIClient("SG.x", host=f"http://127.0.0.1:{port}")
    began = time.perf_counter()
    for n, values in enumerate(given):
        texts = {name: template.render(values) for name, template in plain.items()}
        client.send(Mail("ciao@shop.example", f"reader{n}@example.org", texts["subject"], texts["text"], texts["html"]))
    return BY_SDK / (time.perf_counter() - began)


def _dispatch(cut: Any, given: list[dict[str, Any]]) -> Any:
    from passaparola.channel.sender import Dispatch, FromIdentity, OutboundMessage

    messages = tuple(
        OutboundMessage(f"{n}-0-email", f"reader{n}@example.org", f"Reader {n}", cut.values(values), {"List-Unsubscribe": "<https://shop.example/u/x>"})
        for n, values in enumerate(given)
    )  # fmt: skip
    return Dispatch(
        1, "email", "measured", cut.skeleton, FromIdentity("O", "ciao@shop.example"), datetime.now(UTC), messages
    )


def _wire(port: int) -> float:
    """Recipients a second with nothing but rendering and posting: what no ledger could exceed."""
    from passaparola.channels.sendgrid.request import build_request
    from passaparola.channels.sendgrid.sender import SendgridSender
    from passaparola.outbox.deliver import run_on_uvloop

    _, cut, given = wording(1_000)

    async def post() -> float:
        channel = SendgridSender()
        session = channel._session()
        began = time.perf_counter()
        for _ in range(20):
            body = orjson.dumps(build_request(_dispatch(cut, given)))
            async with session.post(f"http://127.0.0.1:{port}/v3/mail/send", data=body) as answer:
                await answer.read()
        spent = time.perf_counter() - began
        await channel.close()
        return 20_000 / spent

    return run_on_uvloop(post())


def smtp() -> list[Figure]:
    found = []
    with environment.sink("smtp") as port:
        environment.by_smtp(port)
        for kind, workers in (("sqlite", 1), ("postgresql", 1), ("postgresql", 2)):
            with environment.database(kind) as database:
                environment.in_its_own("bench.path", database, 1_000, 1, SMTP_SIZE)
                ratios, rates = [], []
                for _ in range(ROUNDS):
                    pooled = _smtplib(port)
                    planning, sending, _ = environment.in_its_own("bench.path", database, SMTP_SIZE, workers)
                    rates.append(SMTP_SIZE / (planning + sending))
                    ratios.append(rates[-1] / pooled)
                note = f"{statistics.median(rates):,.0f} recipients/s of {SMTP_SIZE:,}"
                whole = f"the same by SMTP, 20 connections a worker, {kind}, {workers} worker{'s' * (workers > 1)}"
                found.append(
                    Figure(
                        whole,
                        "pooled `smtplib` with `EmailMessage` (render + send only)",
                        ratios,
                        at_least=20,
                        note=note,
                    )
                )
    return found


def _smtplib(port: int) -> float:
    """Messages a second over a kept connection."""
    said, _, given = wording(BY_SMTPLIB)
    plain = stock(said)
    with smtplib.SMTP("127.0.0.1", port) as server:
        began = time.perf_counter()
        for n, values in enumerate(given):
            mail = EmailMessage()
            mail["From"], mail["To"] = "ciao@shop.example", f"reader{n}@example.org"
            mail["Subject"] = plain["subject"].render(values)
            mail.set_content(plain["text"].render(values))
            mail.add_alternative(plain["html"].render(values), subtype="html")
            server.send_message(mail)
        return BY_SMTPLIB / (time.perf_counter() - began)


def queue() -> list[Figure]:
    """Claim, fetch and record by the batch, without rendering and calling, beside a row that is claimed per message."""
    return [
        Figure(
            "claim, fetch and record, recipients/s, " + kind,
            "a row claimed per message",
            environment.in_its_own("bench.claims", kind),
            at_least=4,
        )
        for kind in environment.KINDS
    ]


def memory() -> list[Figure]:
    """Peak resident memory of the sending process at growing sizes, what one more contact costs, and the largest run's phases."""
    sizes = [int(size) for size in os.environ.get("SIZES", "10000 100000 1000000").split()]
    found = []
    with environment.sink("http") as port:
        environment.by_sendgrid(port)
        for kind, workers in (("sqlite", 1), ("postgresql", 2)):
            by_size = {}
            for size in sizes:
                with environment.database(kind) as database:
                    environment.in_its_own("bench.path", database, 1_000, 1, size)
                    by_size[size] = environment.in_its_own("bench.path", database, size, workers)
            found += _at_sizes(kind, workers, by_size)
    return found


def _at_sizes(kind: str, workers: int, by_size: dict[int, list[float]]) -> list[Figure]:
    """`by_size`: seconds of planning, seconds of sending, peak in KB."""
    peaks = {size: peak / 1024 for size, (_, _, peak) in by_size.items()}
    curve = {
        f"planning, {kind}": [(size, planning / size * 1e6) for size, (planning, _, _) in by_size.items()],
        f"sending, {kind}": [(size, sending / size * 1e6) for size, (_, sending, _) in by_size.items()],
    }
    largest = max(by_size)
    planning, sending, _ = by_size[largest]
    said = f"{kind}, {workers} worker{'s' * (workers > 1)}"
    return [
        Figure(
            f"peak memory of the sending process, {kind}", "–", [max(peaks.values())], at_most=250, unit=" MB",
            note=", ".join(f"{size:,}: {peak:.0f} MB" for size, peak in peaks.items()), curve=curve,
        ),
        Figure(
            f"one campaign to {largest:,} people, {said}", "–", [planning + sending], at_most=largest * 120 / 1e6, unit=" s",
            note=f"frozen and planned in {planning:.0f} s, guarded, rendered, sent and recorded in {sending:.0f} s",
        ),
    ]  # fmt: skip
