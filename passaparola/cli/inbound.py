"""What came in, on the command line: counted, shown, played again."""

import json
import sys
from datetime import datetime
from typing import Annotated

import typer

from passaparola.cli.command import CommandContext, Result, command
from passaparola.cli.output import group, out, print_table, without_markup
from passaparola.errors import Unknown

STATES = ("new", "applied", "ignored", "waiting", "invalid")

intake = group("What came in from shops and apps: counted, shown, played again.")


@command(intake, "status")
def intake_status(context: CommandContext) -> Result:
    """Count what came in by source, what became of it, and what was not understood."""
    from passaparola.inbound.store import count_bodies

    with context.store.read() as session:
        counts = count_bodies(session)

    def show() -> None:
        print_table(
            [
                {"source": source} | {state: states.get(state, 0) for state in STATES}
                for source, states in sorted(counts.sources.items())
            ]
        )
        for body in counts.invalid:
            at = context.format_time(body["received_at"])
            out.print(f"  {body['id']}  {at}  {body['source']}: {without_markup(body['problem'])}")

    return Result(vars(counts), show)


@command(intake, "show")
def intake_show(context: CommandContext, number: int) -> None:
    """Show one body as it came."""
    from passaparola.store.models import RawBody

    with context.store.read() as session:
        row = session.get(RawBody, number)
        if row is None:
            raise Unknown(f"There is no body {number}.")
        out.print_json(json.dumps(row.model_dump(exclude={"body"}), default=str))
        sys.stdout.write(bytes(row.body).decode("utf-8", "backslashreplace") + "\n")


@command(intake, "replay")
def intake_replay(
    context: CommandContext,
    since: Annotated[datetime, typer.Option("--from", help="2026-03-21 or 2026-03-21T10:00, on the house clock.")],
    until: Annotated[datetime | None, typer.Option("--to", help="Default: now.")] = None,
    source: Annotated[str, typer.Option(help="One source, such as shopify; default: all.")] = "",
) -> Result:
    """Apply the bodies of a span once more. What is known already stays as it is."""
    from zoneinfo import ZoneInfo

    from passaparola.inbound.pipeline import apply_inbound
    from passaparola.inbound.store import replay

    zone, now = ZoneInfo(context.settings.time_zone), context.now
    begins, ends = since.replace(tzinfo=zone), until.replace(tzinfo=zone) if until else now
    bodies = replay(context.store, since=begins, until=ends, source=source or None, actor=context.actor, now=now)
    kinds = apply_inbound(context.store, context.settings, now)
    words = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items()) or "nothing that was not known"
    return Result({"bodies": bodies, "new_events": dict(kinds)}, lambda: out.print(f"{bodies:,} bodies; {words}."))
