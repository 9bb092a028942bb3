"""A channel knows no database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import fresh


@pytest.fixture
def database(migrated: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """Its tests run once."""
    with fresh("sqlite", migrated, tmp_path) as address:
        yield address
