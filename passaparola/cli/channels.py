"""Channels on the command line: which send and receive, what keeps one from it, and letting it go on."""

from typing import Annotated

import typer

from passaparola.cli.command import CommandContext, Result, command
from passaparola.cli.output import group, out, print_table, without_markup

channels = group("The ways to send and to receive: how they are, and going on after a pause.")


@command(channels, "list")
def channel_list(context: CommandContext) -> Result:
    """List every channel: whether it has its settings, whether it is paused and why, when it was last polled."""
    from dataclasses import asdict

    from passaparola.store import incidents

    with context.store.read() as session:
        statuses = incidents.channel_statuses(session, context.settings.time_zone)

    def show() -> None:
        print_table(
            [
                {"channel": status.name, "sends": status.sending.partition(":")[0], "receives": status.receiving}
                for status in statuses
            ]
        )
        for status in statuses:
            state, _, why = status.sending.partition(":")
            if why:
                out.print(
                    f"{status.name} {'is paused' if state == 'paused' else 'does not send'}:{without_markup(why)}"
                )

    return Result([asdict(status) for status in statuses], show)


@command(channels, "resume")
def channel_resume(context: CommandContext, name: Annotated[str, typer.Argument(help="Such as twitter.")]) -> str:
    """Resume a paused channel after its key or account was mended. What waited goes out, each message guarded
    anew."""
    from passaparola.store import incidents

    with context.store.write() as session:
        incidents.resume_channel(session, name, actor=context.actor, now=context.now)
    return f"{name} sends again."
