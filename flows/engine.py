"""What every flow begins with: the settings, the open store, and the two clocks."""

from datetime import datetime
from zoneinfo import ZoneInfo

from contacts.store import Store
from settings import Settings, settings


def opened() -> tuple[Settings, Store]:
    own = settings()
    return own, Store(own.database).open()


def house_now(own: Settings) -> datetime:
    return datetime.now(ZoneInfo(own.time_zone))
