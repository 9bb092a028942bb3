"""Run a program that stays: its ports, its errors as sentences, its end by Ctrl-C or SIGTERM."""

import argparse
import signal
import sys
from types import FrameType
from typing import Any

from passaparola.errors import PassaparolaError


def argument_parser(doc: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--port", type=int, default=8000, help="of the web app")
    parser.add_argument("--prefect-port", type=int, default=4200, help="of Prefect's API and UI")
    return parser


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  the one voice of a command


def run_command(command: Any) -> None:
    """Run a command; its errors are sentences, Ctrl-C and SIGTERM end it cleanly."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        command()
    except KeyboardInterrupt:
        say("Stopped.")
    except PassaparolaError as error:
        sys.stderr.write(f"✗ {error}\n")
        sys.exit(1)
