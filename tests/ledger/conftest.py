from collections.abc import Callable

import pytest

from passaparola.settings import Settings
from passaparola.store.database import Store
from tests.conftest import NOW, Provider
from tests.ledger.world import World
from tests.people import crowd


@pytest.fixture
def world(store: Store, sendgrid: Provider, settings: Settings) -> Callable[..., World]:
    def made(size: int = 200, bad: int | None = None) -> World:
        return World(store, settings, sendgrid, crowd(store, size, NOW, bad))

    return made
