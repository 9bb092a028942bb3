"""What came in, on the command line: counted, shown, played again."""

import json
import sys
from datetime import datetime
from typing import Annotated

import typer

from passaparola.cli.output import AsJson, actor, emit, format_time, group, now, open_store, out, table, without_markup
from passaparola.errors import Unknown

intake = group("What came in from shops and apps: counted, shown, played again.")


@intake.command("status")
def intake_status(as_json: AsJson = False) -> None:
    """Count what came in by source, what became of it, and what was not understood."""
    from passaparola.inbound.store import count_bodies

    settings, store = open_store()
    with store.read() as session:
        counts = count_bodies(session)

    def shown() -> None:
        table([{"source": source, **states} for source, states in _table_rows(counts.sources).items()])
        for odd in counts.invalid:
            out.print(
                f"  {odd['id']}  {format_time(settings, odd['received_at'])}  {odd['source']}: "
                f"{without_markup(odd['problem'])}"
            )

    emit(as_json, vars(counts), shown)


def _table_rows(sources: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    states = ("new", "applied", "ignored", "waiting", "invalid")
    return {source: {state: counts.get(state, 0) for state in states} for source, counts in sorted(sources.items())}


@intake.command("show")
def intake_show(number: int) -> None:
    """Show one body as it came."""
    from passaparola.store.models import RawBody

    _, store = open_store()
    with store.read() as session:
        row = session.get(RawBody, number)
        if row is None:
            raise Unknown(f"There is no body {number}.")
        out.print_json(json.dumps(row.model_dump(exclude={"body"}), default=str))
        sys.stdout.write(bytes(row.body).decode("utf-8", "backslashreplace") + "\n")


@intake.command("replay")
def intake_replay(
    since: Annotated[datetime, typer.Option("--from", help="2026-03-21 or 2026-03-21T10:00, on the house clock.")],
    until: Annotated[datetime | None, typer.Option("--to", help="Default: now.")] = None,
    source: Annotated[str, typer.Option(help="One source, such as shopify; default: all.")] = "",
    as_json: AsJson = False,
) -> None:
    """Apply the bodies of a span once more. What is known already stays as it is."""
    from zoneinfo import ZoneInfo

    from passaparola.inbound.pipeline import apply_inbound
    from passaparola.inbound.store import replay

    settings, store = open_store()
    zone = ZoneInfo(settings.time_zone)
    ends = until.replace(tzinfo=zone) if until else now()
    bodies = replay(
        store, since=since.replace(tzinfo=zone), until=ends, source=source or None, actor=actor(), now=now()
    )
    kinds = apply_inbound(store, settings, now())
    words = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items()) or "nothing that was not known"
    emit(as_json, {"bodies": bodies, "new_events": dict(kinds)}, lambda: out.print(f"{bodies:,} bodies; {words}."))
