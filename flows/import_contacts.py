"""Button: a file of people becomes contacts, with proof of what they allow."""

import asyncio
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from pydantic import BaseModel, Field

from passaparola.contacts.imports.columns import ColumnMapping, guess_columns
from passaparola.contacts.imports.importing import Import
from passaparola.contacts.imports.tables import open_table as table_opened
from passaparola.errors import NotAllowed, Unknown, did_you_mean
from passaparola.flows._run import hide_details, open_store
from passaparola.store.database import utc_now


class People(BaseModel):
    """A file, and what the people in it have said yes to."""

    file: str = Field(
        title="File",
        description="Its name in the folder var/import of this installation: people.csv.",
        pattern=r"^[^/\\]+$",
        max_length=200,
    )
    topics: list[str] = Field(
        [],
        title="They all said yes to",
        description="Topics such as newsletter. Leave empty if the file has a consent column.",
    )
    source: str = Field(
        "",
        title="Where and how they said it",
        description="Needed with topics: the proof of their consent.",
        max_length=300,
    )


@flow(name="contacts-import")
async def contacts_import(people: People) -> None:
    """Bring people, consents and purchases in. The same file again changes nothing; bad rows are listed, not lost.

    Args:
        people: The file, and what its people allow. Consent is never assumed.
    """
    settings, store = open_store()
    folder = settings.var / "import"
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / people.file).resolve()
    if path.parent != folder.resolve() or not path.is_file():
        raise Unknown(
            f"There is no file “{Path(people.file).name}” in "
            f"var/import{did_you_mean(people.file, [p.name for p in folder.iterdir()])}"
        )
    if people.topics and not people.source.strip():
        raise NotAllowed("Say where and how these people said yes; that is the proof of their consent.")
    with hide_details():
        with table_opened(path) as table:
            mapping = ColumnMapping(columns=guess_columns(table.header))
        work = Import(store, settings, path, mapping, tuple(people.topics), people.source)
        tally = await asyncio.to_thread(work.run, utc_now())
    columns = "\n".join(f"| {number} | {role} |" for number, role in enumerate(mapping.columns.values(), 1))
    counts = "\n".join(f"| {name} | {count:,} |" for name, count in vars(tally).items() if isinstance(count, int))
    await acreate_markdown_artifact(
        f"## Import\n\n| | rows |\n|---|---:|\n{counts}\n\n### How the columns were read\n\n| column | is "
        f"|\n|---|---|\n{columns}\n",
        key="contacts-import",
    )
    get_run_logger().info("%s rows, %s new, %s rejected", tally.rows, tally.new, tally.rejected)
