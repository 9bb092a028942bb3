"""One installation for all flow tests: a real Prefect server on PostgreSQL, a real worker, the web app, the deployments."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from passaparola.operations.stack import Stack
from passaparola.settings import Settings
from passaparola.store.database import Store
from tests import shops
from tests.conftest import NOW, ROOT
from tests.people import add

CANARIES = ("Zanzibarra", "canary.one@example.org", "Quetzalcoatla")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    home = tmp_path_factory.mktemp("installation")
    shutil.copytree(ROOT / "tests" / "house", home, dirs_exist_ok=True)
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("PASSAPAROLA_", "PREFECT_"))]:
        del os.environ[name]
    os.environ |= {
        "PASSAPAROLA_HOME": str(home),
        "PASSAPAROLA_SECRET_KEY": "a secret of the tests",
        "PASSAPAROLA_EVENTS_SECRET": shops.SECRETS["EVENTS_SECRET"],
    }
    from passaparola import settings as module

    module.get_settings.cache_clear()
    own = module.get_settings()
    store = Store(own.database).open()
    with store.write() as session:
        for number, name in enumerate(CANARIES[::2]):
            add(session, name, NOW, email=CANARIES[1] if not number else "canary.two@example.org", city="Canarytown")
        for number in range(300):
            add(session, f"Reader{number}", NOW)
    store.close()
    yield own
    os.environ.clear()
    os.environ.update(before)
    module.get_settings.cache_clear()


@pytest.fixture(scope="module")
def stack(house: Settings) -> Iterator[Stack]:
    installation = Stack(house, free_port(), free_port())
    try:
        installation.start()
        yield installation
    finally:
        installation.stop()


@pytest.fixture
def home(house: Settings) -> Path:
    return house.home
