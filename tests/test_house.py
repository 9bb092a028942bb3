"""The rules of the house."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from passaparola.channel import registry
from passaparola.outbox.reasons import HoldReason
from passaparola.outbox.render.check import sample_values
from passaparola.outbox.render.frozen import FrozenWording, house_constants
from passaparola.settings import FromEnvironment, Settings
from tests.conftest import ROOT

ROOMS = ("passaparola", "channels", "flows")
ENGINE = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "migrations" not in path.parts]
BANNED = {
    *("ear", "ears", "hear", "hears", "heard", "noes", "street", "told", "said", "own", "found", "whose", "patience"),
    *("patiently", "swiftly", "little_garbage", "standing", "quietly", "troubles", "pulse", "checkup", "lanes"),
    *("helper", "manager", "util", "utils"),
}  # private words for what the field has a name for (docs/vocabulary.md)


def test_content_rooms_hold_no_python() -> None:
    assert not [path for room in ("campaigns", "audiences", "templates") for path in (ROOT / room).rglob("*.py")]


def test_no_room_is_called_utils() -> None:
    forbidden = {"utils", "util", "helpers", "helper", "manager", "common", "core", "services", "service", "misc"}
    assert not [path for path in ENGINE if path.stem in forbidden or forbidden & set(path.parts)]


def test_files_can_be_seen_whole() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ENGINE}
    assert not {name: lines for name, lines in long.items() if lines > 250}


def test_functions_can_be_seen_whole() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in ENGINE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert not {name: lines for name, lines in long.items() if lines > 40}


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: str(path.relative_to(ROOT)))
def test_plumbing_speaks_the_field_s_words(path: Path) -> None:
    named = {path.stem}
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                named.add(name)
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                named.add(name)
    assert not {name for name in named if name.strip("_").lower() in BANNED}


def test_every_contract_of_imports_is_kept() -> None:
    """One way between the rooms, no circle inside one, connectors known only by the registry."""
    done = subprocess.run(
        [sys.executable, "-m", "importlinter.cli", "lint", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_what_is_left_untyped_is_counted() -> None:
    """Each is where a library is untyped or SQLAlchemy's types end; the numbers only go down."""
    text = "\n".join(path.read_text() for path in ENGINE)
    bare = sum(
        isinstance(annotation, ast.Name) and annotation.id == "Any"
        for path in ENGINE
        for annotation in _annotations(ast.parse(path.read_text()))
    )
    assert (text.count("# type: ignore") <= 9, text.count("# fmt: skip") == 0, bare <= 140) == (True, True, True)


def _annotations(tree: ast.AST) -> Iterator[ast.expr | None]:
    for node in ast.walk(tree):
        match node:
            case ast.arg(annotation=annotation) | ast.AnnAssign(annotation=annotation):
                yield annotation
            case ast.FunctionDef(returns=returns) | ast.AsyncFunctionDef(returns=returns):
                yield returns


def test_one_name_is_all_that_is_imported_of_this_project() -> None:
    tops = {name.name for name in ROOT.iterdir() if name.is_dir() and any(name.glob("*.py"))} - {"passaparola"}
    for path in ENGINE:
        assert not (_imports(path) & tops), path


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


def test_every_setting_is_in_the_operations_manual() -> None:
    manual = (ROOT / "docs" / "operations.md").read_text()
    for name in (*registry.sender_names(), *registry.receiver_names()):
        registry.sender_class(name) if name in registry.sender_names() else registry.receiver_class(name)
    for path in (ROOT / "passaparola" / "operations").glob("[a-z]*.py"):
        importlib.import_module(f"passaparola.operations.{path.stem}")
    known = {field.upper() for group in _all_subclasses(FromEnvironment) for field in group.model_fields}
    assert len(known) > 60
    assert not {name for name in known if not re.search(rf"\b{name}\b", manual)}


def _all_subclasses(of: type[FromEnvironment]) -> list[type[FromEnvironment]]:
    return [found for child in of.__subclasses__() for found in (child, *_all_subclasses(child))]


def test_every_deployment_is_in_the_manuals() -> None:
    manuals = "".join((ROOT / "docs" / name).read_text() for name in ("operations.md", "marketers.md"))
    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        assert deployment["name"] in manuals, deployment["name"]


def test_every_public_flow_file_is_one_deployment() -> None:
    deployed = [one["entrypoint"] for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]]
    for path in (ROOT / "flows").glob("[a-z]*.py"):
        flows = [
            node.name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.AsyncFunctionDef) and any("flow(" in ast.unparse(d) for d in node.decorator_list)
        ]
        assert len(flows) == 1, path
        assert f"passaparola.flows.{path.stem}.{flows[0]}" in deployed, path


def test_every_reason_to_hold_a_letter_is_explained_to_marketers() -> None:
    manual = (ROOT / "docs" / "marketers.md").read_text()
    assert not [reason for reason in HoldReason if f"`{re.sub(r':g}', '}', reason)}`" not in manual]


def test_every_variable_of_a_template_is_explained_to_marketers() -> None:
    manual = (ROOT / "docs" / "marketers.md").read_text()
    wording = FrozenWording.model_construct(links=(), share={}, where="")
    known = {
        *sample_values({}, wording, "order_completed"),
        *house_constants("spring", Settings(secret_key="x")),
        "share",
    }
    assert not [name for name in known if not re.search(rf"[`{{ ]{name}\b", manual)]


def test_the_lists_of_commands_and_tables_are_the_code_s() -> None:
    from docs import reference

    for name, text in {"commands.md": reference.commands(), "tables.md": reference.tables()}.items():
        assert (ROOT / "docs" / name).read_text() == text, "run `python -m docs.reference`"


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
