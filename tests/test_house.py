"""The rules of the house."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from passaparola.channel import registry
from tests.conftest import ROOT

ROOMS = ("passaparola", "channels", "flows")
ENGINE = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "migrations" not in path.parts]
LONGER = {
    "passaparola/contacts/imports/chunk.py": 280,
    "passaparola/demo/customers.py": 335,
    "passaparola/journeys/advance.py": 285,
    "passaparola/rehearsal/playback.py": 300,
    "passaparola/operations/stack.py": 270,
    "passaparola/contacts/merging.py": 255,
    "passaparola/outbox/deliver.py": 255,
}


def test_content_rooms_hold_no_python() -> None:
    assert not [path for room in ("campaigns", "audiences", "templates") for path in (ROOT / room).rglob("*.py")]


def test_no_room_is_called_utils() -> None:
    forbidden = {"utils", "util", "helpers", "helper", "manager", "common", "core", "services", "service", "misc"}
    assert not [path for path in ENGINE if path.stem in forbidden or forbidden & set(path.parts)]


def test_files_can_be_seen_whole() -> None:
    long = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in ENGINE}
    assert not {name: lines for name, lines in long.items() if lines > LONGER.get(name, 250)}


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), (
        "the first line of a file is a sentence that the tree could quote"
    )


def test_nothing_that_came_from_outside_is_ever_fetched() -> None:
    """Only channels speak to the world, and doors to Prefect; the rooms between have nothing to fetch a URL with."""
    clients = {"aiohttp", "httpx", "httpx2", "requests", "urllib3"}
    for path in ENGINE:
        if {"contacts", "journeys", "outbox", "inbound", "store", "reports", "web"} & set(path.parts):
            assert not clients & _imports(path), path
            assert "urllib.request" not in path.read_text(), path


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_every_flow_has_help_for_every_field() -> None:
    for path in (ROOT / "flows").glob("[a-z]*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AsyncFunctionDef) and any("flow(" in ast.unparse(d) for d in node.decorator_list):
                doc = ast.get_docstring(node) or ""
                assert doc, node.name
                assert all(re.search(rf"^\s+{argument.arg}: ", doc, re.M) for argument in node.args.args), node.name


def test_every_entry_point_of_the_timetable_exists() -> None:
    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        module, _, name = deployment["entrypoint"].rpartition(".")
        assert f"async def {name}(" in (ROOT / f"{module.replace('.', '/')}.py").read_text()
        assert set(deployment) <= {
            "name",
            "entrypoint",
            "tags",
            "work_pool",
            "concurrency_limit",
            "schedules",
            "triggers",
        }


def test_every_channel_has_a_heading_in_the_operations_manual() -> None:
    manual = (ROOT / "docs" / "operations.md").read_text().lower()
    assert not [name for name in registry.sender_names() if name not in manual]


def test_the_schema_for_editors_is_the_one_in_the_docs() -> None:
    from passaparola.journeys.campaign import json_schema

    assert (ROOT / "docs" / "campaign.schema.json").read_text() == json_schema(), "run `passaparola schema`"


def test_no_registry_and_no_machine_is_named_in_the_project() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    for name in listed:
        path = ROOT / name
        if path.suffix in (".png", ".json") or name == "tests/test_house.py" or not path.is_file():
            continue
        text = path.read_text(errors="ignore")
        assert not re.search(r"/(work|root)/|--index-url|--extra-index-url|files\.pythonhosted", text), name


def test_what_is_locked_is_hashed() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    for name in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        plain = re.split(r"[\[<>=]", name)[0].lower().replace("_", "-").replace(".", "-")
        assert re.search(rf"^{re.escape(plain)}(\[[a-z,]+\])?==", lock, re.M), plain


def test_every_mutant_still_finds_what_it_takes_away() -> None:
    from tests.mutants import MUTANTS

    lost = {one.name: (ROOT / one.file).read_text().count(one.was) for one in MUTANTS}
    assert not {name: times for name, times in lost.items() if times != 1}
