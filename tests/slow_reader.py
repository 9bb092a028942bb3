"""Readers of letters that do not come back: in a module of their own, since another process imports them."""

import os
import time
from typing import Any


def never_ends(*of: Any) -> None:
    time.sleep(3600)


def dies(*of: Any) -> None:
    os._exit(11)
