"""Whatever anyone sends to the web app, drawn from its own description, it never answers with a failure of ours.

schemathesis draws the requests; its own pytest plugin does not know this pytest yet, so Hypothesis runs them here.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from passaparola.settings import Settings
from passaparola.store.database import Store
from tests import shops
from tests.conftest import fresh

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis

    from passaparola.web import link_context
    from passaparola.web.app import app

SCHEMA = schemathesis.openapi.from_dict(app.openapi())
SCHEMA.app = app
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]


@pytest.fixture
def database(migrated: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """Doors are the same on either."""
    with fresh("sqlite", migrated, tmp_path) as address:
        yield address


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@pytest.mark.filterwarnings("ignore")
def test_nothing_that_is_sent_is_answered_with_a_failure(
    operation: Any, store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, secret in shops.SECRETS.items():
        monkeypatch.setenv(f"PASSAPAROLA_{name}", secret)
    link_context.store.cache_clear()

    @trying(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.data())
    def send(data: Any) -> None:
        answer = data.draw(operation.as_strategy()).call()
        assert answer.status_code < 500, (operation.label, answer.status_code, answer.text[:300])

    send()
    link_context.store().close()
    link_context.store.cache_clear()
