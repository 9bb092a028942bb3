"""A channel knows no database."""

from tests.channels.conftest import database  # noqa: F401
