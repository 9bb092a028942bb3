"""The rows that were not taken, in a file beside the imported one."""

import csv
from pathlib import Path
from typing import Any

from passaparola.contacts.imports.tables import Row, neutralise_cell


class Rejects:
    """`people.rejects.csv`: what was not taken, with line and reason; made only when there is something in it."""

    def __init__(self, path: Path, header: list[str]) -> None:
        self.path, self.header, self.count = path, header, 0
        self.file: Any = None

    def __enter__(self) -> "Rejects":
        self.path.unlink(missing_ok=True)
        return self

    def add(self, row: Row, reason: str) -> None:
        if self.file is None:
            self.file = self.path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            csv.writer(self.file).writerow(["line", "reason", *map(neutralise_cell, self.header)])
        csv.writer(self.file).writerow([row.line, reason, *(neutralise_cell(cell[:1000]) for cell in row.cells)])
        self.count += 1

    def __exit__(self, *error: object) -> None:
        if self.file:
            self.file.close()
