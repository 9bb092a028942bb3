"""How long a command takes from nothing, beside Python that does nothing."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure

COMMANDS = {
    "passaparola --help": (["--help"], 6.0),
    "passaparola audience count": (["audience", "count", 'country = "IT"'], 20.0),
}


def figures() -> list[Figure]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PASSAPAROLA_VAR": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        passaparola = str(Path(sys.executable).with_name("passaparola"))
        for name, (given, most) in COMMANDS.items():
            _timed([passaparola, *given], environment)  # compiles, and makes the store
            ratios = [
                _timed([passaparola, *given], environment) / _timed([sys.executable, "-c", "pass"], environment)
                for _ in range(5)
            ]
            found.append(Figure(f"{name}, wall time", "`python -c pass`", ratios, at_most=most))
    return found


def _timed(command: list[str], environment: dict[str, str]) -> float:
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True, env=environment)
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)
