"""The plan of an import, and the tally of its result."""

from dataclasses import dataclass
from pathlib import Path

from passaparola.contacts.imports.columns import ColumnMapping
from passaparola.settings import Settings
from passaparola.store.database import Store


@dataclass
class ImportTally:
    """Counts of an import. `rows` is always new + changed + unchanged + rejected; `refused` rows say that the person
    does not want to be written to; `shared` counts telephones or handles that are somebody else's."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    consents: int = 0
    purchases: int = 0
    refused: int = 0
    shared: int = 0
    rejects: str = ""


@dataclass(frozen=True)
class ImportPlan:
    """What is imported, and where to. `topics` are those that every row consents to, by `source`."""

    store: Store
    settings: Settings
    path: Path
    mapping: ColumnMapping
    topics: tuple[str, ...] = ()
    source: str = ""
