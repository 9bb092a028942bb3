"""What the README and the page on audiences tell people to type can be typed."""

import re
import shlex
from pathlib import Path

import pytest

from passaparola.contacts import audience
from passaparola.contacts.audience import Question
from passaparola.contacts.audience.words import Catalogue
from passaparola.journeys import campaign
from passaparola.settings import Settings
from passaparola.store.database import Store
from tests.conftest import NOW, ROOT
from tests.forked import run
from tests.rehearsal.test_rehearsal import a_year_of_it

README = (ROOT / "README.md").read_text()
AUDIENCES = (ROOT / "docs" / "audiences.md").read_text()
COMMANDS = re.findall(r"^\$ passaparola (.+)$", README, re.M)
PEOPLE = "email,first_name,country,consent,consent_at\nanna@example.org,Anna,IT,newsletter,2026-01-02\nben@example.org,Ben,IE,newsletter,2026-01-02\n"


def test_the_readme_s_commands_run_one_after_the_other(store: Store, settings: Settings, tmp_path: Path) -> None:
    """In the shipped house, on a store that has seen a year."""
    if not store.on_sqlite:
        pytest.skip("what commands say does not depend on the database")
    a_year_of_it(store, settings)
    (tmp_path / "people.csv").write_text(PEOPLE)
    assert len(COMMANDS) >= 6
    for line in [*COMMANDS[1:], COMMANDS[0]]:  # rehearsing stands first on the page
        words = [str(tmp_path / word) if word == "people.csv" else word for word in shlex.split(line)]
        if words[:2] == ["campaign", "send"]:
            words.append("--yes")  # nobody sits there to be asked
        done = run(*words, PASSAPAROLA_HOME=str(ROOT), PASSAPAROLA_VAR=str(settings.var))
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        if words[0] == "why":
            assert "email: sent" in done.stdout


def test_the_readme_s_files_are_those_that_are_shipped() -> None:
    shown = re.findall(r"```yaml\n# (\S+)\n(.+?)```", README, re.S)
    assert {name for name, _ in shown} == {"campaigns/spring_launch.yaml", "audiences/newsletter_readers.yaml"}
    for name, text in shown:
        for line in re.sub(r",\s+", ", ", text).splitlines():
            assert line.strip() in re.sub(r",\s+", ", ", (ROOT / name).read_text()), (name, line)


def questions() -> list[str]:
    told = re.findall(r"```\n(country .+?)\n```", README) + re.findall(r"^\| [a-z].+? \| (.+) \|$", AUDIENCES, re.M)
    asked = [one for cell in told for one in (re.findall(r"`([^`]+)`", cell) or [cell])]
    return [one for one in asked if " " in one and one not in ("you write",)]


@pytest.mark.parametrize("text", questions())
def test_every_question_on_the_page_is_understood(text: str) -> None:
    spans = ("within ", "more than ", "since ", "before ")
    known = Catalogue(
        traits={"nps": "number", "vip": "boolean"}, audiences={"vip_italy": "everyone", "staff": 'city = "Milano"', "newsletter_readers": "everyone"},
    )  # fmt: skip
    asked = f"ordered {text}" if text.startswith(spans) else text
    Question.parse(asked, known).clause(NOW)


def test_the_questions_are_there_to_be_tried() -> None:
    assert len(questions()) > 25
    assert audience.audience_names(ROOT)
    assert campaign.campaign_names(ROOT)
