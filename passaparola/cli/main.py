"""The engineer's door: `passaparola …`.

Exit code 0: done; 1: it could not be done, and one sentence says why; 2: usage.
"""

import os
import sys

# Each module registers its commands.
from passaparola.cli import content, deliver, imports, reports, start  # noqa: F401
from passaparola.cli.app import app
from passaparola.cli.audiences import audiences
from passaparola.cli.campaigns import campaigns
from passaparola.cli.channels import channels
from passaparola.cli.contacts import contacts
from passaparola.cli.db import database
from passaparola.cli.inbound import intake
from passaparola.cli.inbox import audits, inbox, staff
from passaparola.cli.output import err, without_markup
from passaparola.errors import PassaparolaError

for name, commands in (
    ("audience", audiences),
    ("campaign", campaigns),
    ("contact", contacts),
    ("intake", intake),
    ("inbox", inbox),
    ("staff", staff),
    ("audit", audits),
    ("channel", channels),
    ("db", database),
):
    app.add_typer(commands, name=name)

ORDER = ("init", "check", "demo", "up", "web", "deliver", "poll", "import", "report", "why", "doctor", "schema")
app.registered_commands.sort(key=lambda registered: ORDER.index(str(registered.name)))


def main() -> None:
    """Run the command. Every error of ours is one sentence; whatever else goes wrong is named without a traceback."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        app()
    except PassaparolaError as error:
        err.print(f"[red]✗[/red] {without_markup(str(error))}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("PASSAPAROLA_DEBUG"):
            raise
        err.print(f"[red]✗[/red] {without_markup(_describe_error(error))}")
        sys.exit(1)


def _describe_error(error: Exception) -> str:
    import errno

    from pydantic import ValidationError
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"]).upper()
        return f"The setting PASSAPAROLA_{field} is not valid: {problem['msg']}"
    if isinstance(error, DBAPIError):
        return f"The database refused: {str(error.orig).strip().splitlines()[0]}. Nothing was changed by this step."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full. Make room; then start the same command again, it goes on where it stopped."
    return f"{type(error).__name__}: {error}. PASSAPAROLA_DEBUG=1 shows where."


if __name__ == "__main__":
    main()
