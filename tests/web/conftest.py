"""The pages over a store in which Alice, who allows tracking, and Bob got a letter a while ago."""

import warnings
from collections.abc import Iterator

import pytest
from sqlalchemy import update

from passaparola.contacts import consent
from passaparola.outbox.links import Links
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Batch
from tests.conftest import NOW
from tests.outbox.test_guards import drained, released
from tests.people import add

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"


@pytest.fixture
def web(store: Store, settings: Settings) -> Iterator[TestClient]:
    from passaparola.web import link_context
    from passaparola.web.app import app

    link_context.store.cache_clear()
    with store.write() as session:
        add(session, "Alice", NOW, language="it")
        add(session, "Bob", NOW)
        consent.record(session, 1, "email", "tracking", True, at=NOW, source="t")
    released(store, settings)
    drained(store, settings)
    with store.write() as session:  # delivered a while ago: nobody follows a link in the second in which it was sent
        session.execute(update(Batch).values(finished_at=NOW, claimed_at=NOW))
    with TestClient(app, follow_redirects=False, headers={"User-Agent": BROWSER}) as client:
        yield client
    link_context.store().close()
    link_context.store.cache_clear()


@pytest.fixture
def links(settings: Settings) -> Links:
    return Links(settings.secret, settings.public_url)
