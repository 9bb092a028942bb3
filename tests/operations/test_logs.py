"""No contact stands in a log, whoever wrote the line."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from passaparola.operations import logs
from passaparola.settings import Settings


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[io.StringIO]:
    from passaparola import settings as module

    monkeypatch.setenv("PASSAPAROLA_LOG_FORMAT", "json")
    module.get_settings.cache_clear()
    kept = io.StringIO()
    monkeypatch.setattr("sys.stderr", kept)
    for name in (
        "uvicorn",
        "uvicorn.error",
    ):  # as in a process of ours: whoever imported Prefect before has changed them
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    before = logging.root.handlers[:]
    logs.configure_logging()
    yield kept
    logging.root.handlers[:] = before


def test_a_line_is_json_and_an_address_leaves_as_its_domain(said: io.StringIO) -> None:
    logging.getLogger("passaparola").warning("%s wrote from %s", "anna.rossi+news@example.org", "+39 347 123 4567")
    line = json.loads(said.getvalue())
    assert line["message"] == "…@example.org wrote from +…"
    assert line["level"] == "WARNING"


def test_a_traceback_is_its_kind_and_shows_no_values(said: io.StringIO) -> None:
    try:
        raise ValueError("anna@example.org")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    assert "anna" not in said.getvalue()
    assert "Traceback" not in said.getvalue()
    assert "ValueError" in said.getvalue()
