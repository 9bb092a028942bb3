"""What deploy/ says is what the code is called, and it waits for what it needs."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return found


def test_compose_starts_what_is_there_and_waits_for_what_it_names() -> None:
    services = compose()
    for name, service in services.items():
        for other in service.get("depends_on", {}):
            assert other in services, f"{name} waits for {other}"
        for volume in service.get("volumes", []):
            place = volume.partition(":")[0]
            assert not place.startswith("./") or (DEPLOY / place).exists(), f"{name} mounts {place}"
    modules = re.findall(
        r"python -m ([a-z._]+)", " ".join(str(service.get("command")) for service in services.values())
    )
    assert modules
    assert all((ROOT / f"{module.replace('.', '/')}.py").is_file() for module in modules)


def test_the_same_parts_run_on_kubernetes() -> None:
    rooms = [yaml.safe_load_all(path.read_text()) for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))]
    things = [thing for room in rooms for thing in room]
    named = {thing["metadata"]["name"] for thing in things if thing["kind"] in ("Deployment", "StatefulSet")}
    assert named >= {"postgres", "redis", "prefect", "prefect-services", "web", "consumer", "worker"}
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    assert all((DEPLOY / "kubernetes" / name).is_file() for name in listed)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not here")
def test_kustomize_builds_it() -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY / "kubernetes")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list(yaml.safe_load_all(done.stdout))) == 19


def test_what_is_watched_is_what_is_counted() -> None:
    counted = Path(ROOT / "passaparola" / "web" / "metrics.py").read_text()
    for file in ("alerts.yml", "grafana/passaparola.json"):
        for name in set(re.findall(r"passaparola_[a-z_]+", (DEPLOY / file).read_text())):
            base = re.sub(r"_(total|bucket|sum|count)$", "", name)
            assert f'"{base}"' in counted, f"{file}: {name}"
