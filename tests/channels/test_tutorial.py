"""docs/add_a_channel.md, done as it says: from an empty file to a channel that keeps the contract."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "add_a_channel.md"
FILES = re.compile(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", re.M | re.S)


def test_the_tutorial_makes_a_channel_that_keeps_the_contract(tmp_path: Path, migrated: dict[str, str]) -> None:
    written = dict(FILES.findall(PAGE.read_text()))
    assert set(written) == {"channels/pigeon.py", "tests/fakes/pigeon.py"}
    assert len(written["channels/pigeon.py"].splitlines()) < 60
    house = tmp_path / "house"
    shutil.copytree(
        ROOT, house, symlinks=True, ignore=shutil.ignore_patterns(".*", "var", "docs", "node_modules", "__pycache__")
    )
    for name, code in written.items():
        (house / name).write_text(code)
    (command,) = re.findall(r"^pytest (.*)$", PAGE.read_text(), re.M)
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n0", "-o", "addopts=--import-mode=importlib -q", *command.split()],
        cwd=house, env={**own, "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, timeout=170,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-1_000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 12
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), *written],
        cwd=house,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stdout
