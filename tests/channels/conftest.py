"""A channel knows no database: its tests run once."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def database(migrated: dict[str, str], tmp_path: Path) -> str:
    shutil.copy(migrated["sqlite"], tmp_path / "store.db")
    return f"sqlite:///{tmp_path / 'store.db'}"
