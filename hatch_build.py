"""Build hook: takes htmx from the package that carries it, so that no file of others lies among ours."""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGET = Path("passaparola/web/static/htmx.min.js")
SOURCE = "static/django_htmx/htmx-4.min.js"


class HtmxHook(BuildHookInterface):
    """Copy htmx (0BSD, https://htmx.org) into the console's static files, for a wheel and for a checkout alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        found = find_spec("django_htmx")
        assert found is not None
        assert found.origin is not None
        target = Path(self.root) / TARGET
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(Path(found.origin).parent / SOURCE, target)
