"""Content on the command line: checked, and described for editors."""

from typing import TYPE_CHECKING

from passaparola.cli.app import app
from passaparola.cli.command import Result, command
from passaparola.cli.output import err, out, without_markup

if TYPE_CHECKING:
    from passaparola.contacts.audience.words import Catalogue
    from passaparola.settings import Settings


@command(app)
def check() -> Result:
    """Read all content, render it for the cast, and say file, line and remedy of whatever is wrong."""
    from passaparola.operations import policies
    from passaparola.operations.check_content import check_content, transactional_wordings
    from passaparola.outbox.render.check import check_house_messages, check_message, find_offers
    from passaparola.settings import get_settings

    settings = get_settings()
    problems = (
        check_content(settings, check_message, _store_catalogue(settings))
        + check_house_messages(settings)
        + policies.check_policies(settings.home)
    )
    warnings = [offer for wording in transactional_wordings(settings) for offer in find_offers(settings, *wording)]

    def show() -> None:
        for problem in problems:
            err.print(f"[red]✗[/red] {without_markup(problem)}")
        for warning in warnings:
            err.print(f"[yellow]![/yellow] {without_markup(warning)}")
        if not problems:
            out.print("[green]✓[/green] All audiences, campaigns, templates and policies are fine.")

    return Result({"problems": problems, "warnings": warnings}, show, failure="" if problems else None)


def _store_catalogue(settings: "Settings") -> "Catalogue":
    """Return what this house's contacts have and did, where there is a store yet; a check makes none."""
    from passaparola.contacts import audience
    from passaparola.store.database import Store

    if not settings.database_url and not (settings.var / "passaparola.db").exists():
        return audience.load_catalogue(None, settings)
    with Store(settings.database).open().read() as session:
        return audience.load_catalogue(session, settings)


@command(app)
def schema() -> str:
    """Write docs/campaign.schema.json, by which editors complete campaign files."""
    from passaparola.journeys.campaign import json_schema
    from passaparola.settings import get_settings

    path = get_settings().home / "docs" / "campaign.schema.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json_schema(), encoding="utf-8")
    return f"Written: {path}"
