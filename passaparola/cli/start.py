"""Projects and processes on the command line: made and started."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from passaparola.cli.app import app
from passaparola.cli.command import CommandContext, command

Port = Annotated[int, typer.Option(min=1, max=65535, help="The port of the web app: pages, webhooks, console.")]


PrefectPort = Annotated[int, typer.Option(min=1, max=65535, help="The port of Prefect's pages and API.")]


@command(app)
def init(
    folder: Annotated[Path, typer.Argument(help="Made if it is not there.")],
    language: Annotated[str, typer.Option(help="The house's own language: en or it.")] = "en",
) -> str:
    """Make a project: starter content, settings, deployments, and an example of a channel and a flow of your own."""
    from passaparola.operations.project import create_project

    create_project(folder, language)
    return f"{folder} is a project. Next: cd {folder} && passaparola check"


@command(app)
def up(port: Port = 8000, prefect_port: PrefectPort = 4200) -> None:
    """Start everything: Prefect server, runner, web app and deployments; Ctrl-C ends it all."""
    _exec_module("passaparola.operations.stack", ["--port", str(port), "--prefect-port", str(prefect_port)])


@command(app)
def demo(
    once: Annotated[bool, typer.Option("--once", help="Leave after the report.")] = False,
    contacts: Annotated[int, typer.Option(min=100, max=200_000, help="How many people the shop knows.")] = 5_000,
    port: Port = 8000,
    prefect_port: PrefectPort = 4200,
) -> None:
    """Run a small shop with 5,000 contacts: everything starts, the spring campaign goes out, its customers come
    back."""
    given = ["--port", str(port), "--prefect-port", str(prefect_port), "--contacts", str(contacts)]
    _exec_module("passaparola.demo.run", [*given, *(["--once"] if once else [])])


@command(app)
def web(
    context: CommandContext,
    host: Annotated[str, typer.Option(help="0.0.0.0 answers everybody; behind a proxy leave it.")] = "127.0.0.1",
    port: Port = 8000,
) -> None:
    """Serve the public pages, webhooks and the local mailbox alone."""
    context.store  # noqa: B018  opened here, so that what is wrong with it is a sentence before anything is served
    _exec_module("passaparola.web.server", ["--host", host, "--port", str(port)])


def _exec_module(module: str, arguments: list[str]) -> None:
    """Become another process: the doors do not import each other."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])
