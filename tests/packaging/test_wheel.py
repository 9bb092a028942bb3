"""It installs as one name, runs outside any checkout, and takes what lies around it for nothing of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.processes import free_port


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "uv", "build", "-q", "--wheel", "--out-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=170)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Path]:
    """An environment of its own: the wheel, and what it depends on from the environment of the tests."""
    # Not among pytest's folders: another run closes those to the user that PostgreSQL's wheel runs as.
    folder = Path(tempfile.mkdtemp(prefix="passaparola-wheel-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    folder.chmod(0o755)
    venv.create(folder, symlinks=True)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "-q",
        "--python",
        str(folder / "bin" / "python"),
        "--no-deps",
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    theirs = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    for entry in theirs.iterdir():  # all that is installed there, but no editable checkout of ours
        if (
            not entry.name.startswith(("passaparola", "_passaparola", "__editable__"))
            and not (site / entry.name).exists()
        ):
            (site / entry.name).symlink_to(entry)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def run(environment: Path, where: Path, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PASSAPAROLA_", "PREFECT_", "PYTHON"))
    }
    return subprocess.run(
        [str(environment / "bin" / "python"), *arguments],
        cwd=where,
        env={**clean, **more},
        capture_output=True,
        text=True,
        timeout=170,
        stdin=subprocess.DEVNULL,
    )


def test_one_name_lands_in_site_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {
        "passaparola",
        *(n for n in {x.partition("/")[0] for x in names} if n.endswith(".dist-info")),
    }
    for part in (
        "channels/twitter/sender.py",
        "flows/send.py",
        "starter/campaigns/welcome.yaml",
        "starter/prefect.yaml",
        "py.typed",
        "store/migrations/versions/0001_the_first_tables.py",
        "web/pages/base.html",
        "web/static/htmx.min.js",
        "conversations/words/it.yaml",
        "contacts/audience/grammar.lark",
    ):
        assert f"passaparola/{part}" in names
    assert not [name for name in names if "tests/" in name or name.endswith(".pyc")]


def test_what_lies_around_it_is_never_imported(installed: Path, tmp_path: Path) -> None:
    for foreign in ("settings.py", "channels.py", "flows.py", "httpx.py"):
        (tmp_path / foreign).write_text("raise SystemExit('a stranger was imported')\n")
    made = run(installed, tmp_path, "-P", "-m", "passaparola", "init", "shop")
    assert made.returncode == 0, made.stderr
    for foreign in ("settings.py", "channels.py"):
        (tmp_path / "shop" / foreign).write_text("raise SystemExit('a stranger was imported')\n")
    checked = run(installed, tmp_path / "shop", "-P", "-m", "passaparola", "check")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_three_typed_lines_pass_mypy(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from passaparola.store.database import Store\n"
        "from passaparola.channel.message_ids import MessageId\n"
        "store: Store = Store('sqlite://'); id_: MessageId | None = MessageId.parse('12-0-email')\n"
    )
    done = run(installed, tmp_path, "-m", "mypy", "--strict", "--no-incremental", "mine.py")
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "mine.py").write_text("from passaparola.store.database import Store\nstore: int = Store('sqlite://')\n")
    assert run(installed, tmp_path, "-m", "mypy", "--strict", "--no-incremental", "mine.py").returncode == 1


def test_the_demo_runs_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    ports = ("--port", str(free_port()), "--prefect-port", str(free_port()))
    done = run(installed, tmp_path, "-P", "-m", "passaparola", "demo", "--once", "--contacts", "500", *ports)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    assert "her thank-you was sent" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["passaparola-demo"]
    assert not [
        path for path in (installed / "lib").rglob("var") if path.is_dir() and path.parent.name == "passaparola"
    ]
