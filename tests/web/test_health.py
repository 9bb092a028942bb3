"""Health and readiness tell the truth; figures go to whoever holds the token, and name nobody."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from passaparola.store.database import Store, utc_now
from passaparola.store.models import RawBody


def test_it_is_ready_while_its_tables_are_right_and_what_comes_in_is_applied(web: TestClient, store: Store) -> None:
    assert web.get("/readyz").json() == {"ready": True, "problems": []}
    with store.write() as session:
        session.add(RawBody(source="t", key="1", received_at=utc_now() - timedelta(hours=1), body=b"", state="new"))
    answer = web.get("/readyz")
    assert answer.status_code == 503
    assert "not applied" in answer.json()["problems"][0]
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "9999" in web.get("/readyz").json()["problems"][0]


def test_figures_are_for_whoever_holds_the_token_and_name_nobody(
    web: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from passaparola import settings as module

    assert web.get("/metrics").status_code == 404
    monkeypatch.setenv("PASSAPAROLA_METRICS_TOKEN", "a token of the tests")
    module.get_settings.cache_clear()
    assert web.get("/metrics", headers={"Authorization": "Bearer another"}).status_code == 404
    web.get("/u/1-0-email.nonsense")
    said = web.get("/metrics", headers={"Authorization": "Bearer a token of the tests"})
    assert said.status_code == 200
    assert 'passaparola_due{heap="batches"} 0.0' in said.text
    assert 'route="/u/{token}"' in said.text
    assert "nonsense" not in said.text
    assert "@" not in said.text
