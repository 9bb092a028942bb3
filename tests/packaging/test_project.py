"""A project is a folder of one shape: made by one command, found from anywhere inside it, with channels of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from passaparola.errors import Misconfigured, NotAllowed
from passaparola.operations.project import create_project
from passaparola.settings import Settings, find_home
from tests.forked import run


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PASSAPAROLA_HOME", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("language", ["en", "it"])
def test_a_new_project_is_fine_in_the_house_s_language(tmp_path: Path, language: str) -> None:
    create_project(tmp_path / "shop", language)
    done = run("check", cwd=tmp_path / "shop")
    assert (done.returncode, done.stderr) == (0, "")
    welcome = (tmp_path / "shop" / "templates" / "welcome" / "email.mjml").read_text()
    assert ("entra pure" in welcome) is (language == "it")
    assert Settings(home=tmp_path / "shop").locale == language


def test_its_home_is_the_nearest_folder_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_project(tmp_path / "shop")
    deep = tmp_path / "shop" / "templates" / "welcome"
    monkeypatch.chdir(deep)
    assert find_home() == tmp_path / "shop"
    assert Settings().var == tmp_path / "shop" / "var"


def test_outside_of_any_a_sentence_names_init(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="passaparola init"):
        find_home()
    done = run("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "passaparola init" in done.stderr


def test_a_home_that_is_none_fails(tmp_path: Path) -> None:
    done = run("check", cwd=tmp_path, PASSAPAROLA_HOME=str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "campaigns/" in done.stderr


def test_init_writes_over_nothing(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "notes.txt").write_text("mine")
    with pytest.raises(NotAllowed, match="not empty"):
        create_project(tmp_path / "shop")
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["notes.txt"]


def test_a_channel_of_its_own_stands_beside_the_built_in_ones(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    create_project(shop)
    shown = command(shop, "channel", "list").stdout
    assert "bulletin" in shown
    assert "sendgrid" in shown
    plan = shop / "campaigns" / "spring_launch.yaml"
    plan.write_text(plan.read_text().replace("telegram", "bulletin"))
    checked = command(shop, "check")
    assert (checked.returncode, checked.stderr) == (0, "")
    (shop / "channels" / "sendgrid.py").write_text("")
    clash = command(shop, "channel", "list")
    assert (clash.returncode, "sendgrid.py" in clash.stderr, "Traceback" in clash.stderr) == (1, True, False)


def command(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A process of its own: which channels there are is found out once a process."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "passaparola", *arguments], cwd=home, capture_output=True, text=True, timeout=120
    )


def test_the_project_s_env_is_read_from_wherever_it_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_project(tmp_path / "shop")
    (tmp_path / "shop" / ".env").write_text("PASSAPAROLA_ORGANISATION=Bottega Nuova\n")
    (tmp_path / ".env").write_text("PASSAPAROLA_ORGANISATION=Somebody else\n")
    monkeypatch.setenv("PASSAPAROLA_HOME", str(tmp_path / "shop"))
    assert Settings().organisation == "Bottega Nuova"
