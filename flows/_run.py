"""What every flow begins with: the settings, the open store, and the two clocks."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from passaparola.errors import PassaparolaError
from passaparola.settings import Settings, get_settings
from passaparola.store.database import Store


def open_store() -> tuple[Settings, Store]:
    settings = get_settings()
    return settings, Store(settings.database).open()


def house_now(settings: Settings) -> datetime:
    return datetime.now(ZoneInfo(settings.time_zone))


@contextmanager
def hide_details() -> Iterator[None]:
    """Hide what other libraries' errors say. Prefect keeps what a flow raises; a database's or a model's own words
    may hold an address, ours do not."""
    try:
        yield
    except DBAPIError as error:
        raise PassaparolaError(f"The database refused ({type(error.orig).__name__}). Its log says more.") from None
    except ValidationError as error:
        raise PassaparolaError(f"The file's columns can't be read: {error.errors()[0]['type']}.") from None
