"""python -m bench [NAME …]: every hot path, or those that are named; prints a line each and writes the docs' table and plots."""

import os
import sys
import time
from collections.abc import Callable

from bench import environment
from bench.figures import Figure, drawn, kept


def _render() -> list[Figure]:
    from bench.sending import render

    return render()


def _send() -> list[Figure]:
    from bench.sending import send

    return send()


def _smtp() -> list[Figure]:
    from bench.sending import smtp

    return smtp()


def _queue() -> list[Figure]:
    from bench.sending import queue

    return queue()


def _memory() -> list[Figure]:
    from bench.sending import memory

    return memory()


def _audience() -> list[Figure]:
    from bench.audiences import figures

    return figures(int(os.environ.get("CONTACTS", "100000")), int(os.environ.get("EVENTS", "1000000")))


def _import() -> list[Figure]:
    found = []
    for kind in environment.KINDS:
        *ratios, rate = environment.in_its_own("bench.imports", kind)
        peer = "bare COPY of the same rows" if kind == "postgresql" else "bare executemany of the same rows"
        found.append(
            Figure(
                f"import with validation and consent, {kind}",
                peer,
                ratios,
                at_least=0.3,
                note=f"{rate:,.0f} contacts/s",
            )
        )
    return found


def _advance() -> list[Figure]:
    people = int(os.environ.get("PEOPLE", "100000"))
    return [
        Figure(
            f"advance of {people:,} who are due, five-step drip, {kind}",
            "the bare SQL updates",
            environment.in_its_own("bench.advance", kind, people),
            at_most=1.5,
        )
        for kind in environment.KINDS
    ]


def _intake() -> list[Figure]:
    found = []
    for kind in environment.KINDS:
        ratio, received, whole = environment.in_its_own("bench.intake", "intake", kind)
        path = f"intake: bodies of 100 events, durable, deduped, applied, {kind}"
        found.append(
            Figure(
                path,
                "verify + append to a file",
                [ratio],
                at_least=0.3,
                note=f"{received:,.0f} events/s durable and answered",
            )
        )
        found.append(Figure(path, "–", [whole], at_least=25_000, unit=" events/s"))
    return found


def _feedback() -> list[Figure]:
    found = []
    for kind in environment.KINDS:
        *ratios, rate = environment.in_its_own("bench.intake", "feedback", kind)
        found.append(
            Figure(
                f"feedback applied, {kind}",
                "bare inserts with ON CONFLICT",
                ratios,
                at_least=0.4,
                note=f"{rate:,.0f} events/s",
            )
        )
    return found


def _clicks() -> list[Figure]:
    found = []
    for kind in environment.KINDS:
        *ratios, rate = environment.in_its_own("bench.clicks", "clicks", kind)
        found.append(
            Figure(
                f"click redirects/s, the click durable, {kind}",
                "a bare route that appends to a file and fsyncs in groups",
                ratios,
                at_least=0.5,
                note=f"{rate:,.0f} clicks/s",
            )
        )
    several = environment.in_its_own("bench.clicks", "several", "postgresql")
    found.append(
        Figure("click redirects/s of 2 web processes, postgresql", "one web process, on the same 2 cores", several)
    )
    return found


def _latency() -> list[Figure]:
    from bench.latency import main as measured

    found = []
    for name, every, most in (("as shipped", "", 15.0), ("tuned (FOLLOW_EVERY=0.05)", "0.05", 2.0)):
        if every:
            os.environ["PASSAPAROLA_FOLLOW_EVERY"] = every
        median, late = measured(40, 0.4)
        found.append(
            Figure(
                f"order webhook → accepted by the provider, {name}",
                "p95 of 40 orders",
                [late],
                at_most=most,
                unit=" s",
                note=f"p50 {median:.2f} s",
            )
        )
    return found


def _start() -> list[Figure]:
    from bench.startup import figures

    return figures()


def _scale() -> list[Figure]:
    from bench.scale import main as measured

    times, said = measured()
    return [
        Figure(
            "4 workers on one outbox, Prefect work pools, provider at 200 ms",
            "one worker",
            [times],
            at_least=3.5,
            note="; ".join(said),
        )
    ]


MEASURES: dict[str, Callable[[], list[Figure]]] = {
    "render": _render, "send": _send, "smtp": _smtp, "queue": _queue, "audience": _audience, "import": _import, "advance": _advance,
    "intake": _intake, "feedback": _feedback, "clicks": _clicks, "latency": _latency, "start": _start, "memory": _memory, "scale": _scale,
}  # fmt: skip
ALONE = ("scale",)  # by name only: it takes as long as half of the others


def main() -> None:
    wanted = sys.argv[1:] or [name for name in MEASURES if name not in ALONE]
    if unknown := [name for name in wanted if name not in MEASURES]:
        raise SystemExit(f"There is no {', '.join(unknown)}; there are {', '.join(MEASURES)}.")
    began, found = time.perf_counter(), []
    for name in wanted:
        try:
            figures = MEASURES[name]()
        except SystemExit as error:  # one path that can't be measured keeps none of the others from it
            print(f"{name}: {error}", flush=True)
            continue
        for figure in figures:
            found.append(figure)
            print(figure.said(), flush=True)
        kept(found, time.perf_counter() - began, whole=not sys.argv[1:])
    drawn()
    print(f"{(time.perf_counter() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
