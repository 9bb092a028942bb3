"""Import of files: a chunk is a transaction, so an import that dies is finished by starting it again."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from sqlalchemy import select
from sqlmodel import col

from passaparola.contacts.audience.words import media
from passaparola.contacts.imports.chunk import NAMED, Chunk
from passaparola.contacts.imports.plan import ImportPlan, ImportTally
from passaparola.contacts.imports.rejects import Rejects
from passaparola.contacts.imports.rows import Person, RowReader, infer_trait_kind
from passaparola.contacts.imports.tables import Row, open_table
from passaparola.store.bulk import relaxed_gc
from passaparola.store.database import audit
from passaparola.store.models import Trait

CHUNK_ROWS = 2_000
ANALYSE_FROM_ROWS = 1_000  # rows after which the database plans anew


@dataclass(frozen=True)
class Import(ImportPlan):
    """The import of one file. `seen` are the custom traits met so far, with their kinds."""

    seen: dict[str, str] = field(default_factory=dict)

    def run(self, now: datetime, progress: Callable[[int, int], None] = lambda rows, at: None) -> ImportTally:
        tally = ImportTally()
        rejects = self.path.with_name(f"{self.path.stem}.rejects.csv")
        with relaxed_gc(), open_table(self.path) as table, Rejects(rejects, table.header) as bad:
            rows = iter(table.rows)
            while chunk := list(islice(rows, CHUNK_ROWS)):
                people = list(self._parse_rows(chunk, self._reader(table.header, chunk, now), bad))
                with self.store.write() as session:
                    Chunk(self, session, now, tally).write(people)
                tally.rows += len(chunk)
                tally.rejected = bad.count
                progress(tally.rows, table.bytes_read())
        tally.rejects = str(rejects) if bad.count else ""
        with self.store.write() as session:
            audit(session, now, "import", "imported", f"file:{self.path.name}", rows=tally.rows, new=tally.new)
        if tally.rows - tally.unchanged - tally.rejected >= ANALYSE_FROM_ROWS:
            self.store.analyse()
        return tally

    def _reader(self, header: list[str], chunk: list[Row], now: datetime) -> RowReader:
        """Build the reader of this chunk. A custom trait keeps the type with which it was first seen, in this file
        or an earlier one."""
        custom = {role for role in self.mapping.columns.values() if role not in {*NAMED, *media(), "ignore"}}
        custom = {role for role in custom if not role.startswith(("order_", "consent"))}
        if unknown := custom - self.seen.keys():
            with self.store.write() as session:
                types = session.execute(select(col(Trait.name), col(Trait.kind)).where(col(Trait.name).in_(unknown)))
                self.seen.update(dict(types.all()))
                for place, name in enumerate(header):
                    role = self.mapping.columns.get(name, "ignore")
                    cells = [row.cells[place] for row in chunk if place < len(row.cells) and row.cells[place].strip()]
                    if role in unknown and role not in self.seen and cells:
                        self.seen[role] = infer_trait_kind(cells)
                        session.add(Trait(name=role, kind=self.seen[role]))
        return RowReader(header, self.mapping, self.seen, self.settings.time_zone, self.settings.currency, now)

    def _parse_rows(self, chunk: Iterable[Row], reader: RowReader, bad: "Rejects") -> Iterator[Person]:
        for row in chunk:
            try:
                yield reader.parse(row)
            except ValueError as reason:
                bad.add(row, str(reason))
