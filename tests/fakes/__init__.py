"""A strict fake of each provider: it refuses what the real one refuses, can lose its answer, and knows what it accepted.

tests/fakes/<channel>.py   class Fake: a context manager with
    env, wrong, down       settings that lead there, that hold a wrong key, that lead to nobody
    accepted()             how many messages it took; None where nothing is handed over
    fail(status), lose()   the next message is refused so, or taken and its answer lost
    stall(seconds)         the answer to the next message is late by so much
"""

from importlib import import_module
from pathlib import Path
from typing import Any

NOBODY = "http://127.0.0.1:9"


def of(channel: str) -> Any:
    """The fake of a channel, not begun yet."""
    if not (Path(__file__).parent / f"{channel}.py").is_file():
        raise LookupError(f"write tests/fakes/{channel}.py, so that the contract can be asked of {channel}")
    return import_module(f"tests.fakes.{channel}").Fake()
