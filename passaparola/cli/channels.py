"""Channels on the command line: which speak and listen, what keeps one from it, and letting it go on."""

from typing import Annotated

import typer

from passaparola.cli.output import AsJson, actor, emit, group, now, open_store, out, table

channels = group("The ways to speak and to listen: how they are, and going on after a pause.")


@channels.command("list")
def channel_list(as_json: AsJson = False) -> None:
    """List every channel: whether it has its settings, whether it is paused and why, when it was last polled."""
    from dataclasses import asdict

    from passaparola.store import incidents

    settings, store = open_store()
    with store.read() as session:
        rows = [asdict(status) for status in incidents.channel_statuses(session, settings.time_zone)]
    emit(as_json, rows, lambda: table(rows))


@channels.command("resume")
def channel_resume(name: Annotated[str, typer.Argument(help="Such as twitter.")]) -> None:
    """Let a paused channel speak again, after its key or account was mended. What waited goes out, each message
    guarded anew."""
    from passaparola.store import incidents

    _, store = open_store()
    with store.write() as session:
        incidents.resume_channel(session, name, actor=actor(), now=now())
    out.print(f"{name} speaks again.")
