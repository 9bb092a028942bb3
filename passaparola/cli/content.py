"""Content on the command line: checked, and described for editors."""

from typing import Any

import typer

from passaparola.cli.app import app
from passaparola.cli.output import (
    AsJson,
    emit,
    err,
    out,
    without_markup,
)


def _store_catalogue() -> Any:
    """Return what this house's contacts have and did, where there is a store yet; a check makes none."""
    from passaparola.contacts import audience
    from passaparola.settings import get_settings
    from passaparola.store.database import Store

    settings = get_settings()
    if not settings.database_url and not (settings.var / "passaparola.db").exists():
        return audience.load_catalogue(None, settings)
    store = Store(settings.database).open()
    with store.read() as session:
        return audience.load_catalogue(session, settings)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Read all content, render it for the cast, and say file, line and remedy of whatever is wrong."""
    from passaparola.operations import policies
    from passaparola.operations.check_content import check_content, transactional_wordings
    from passaparola.outbox.render.check import check_house_messages, check_message, find_offers
    from passaparola.settings import get_settings

    words = _store_catalogue()
    problems = (
        check_content(get_settings(), check_message, words)
        + check_house_messages(get_settings())
        + policies.check_policies(get_settings().home)
    )

    warnings = [
        offer for wording in transactional_wordings(get_settings()) for offer in find_offers(get_settings(), *wording)
    ]

    def shown() -> None:
        for problem in problems:
            err.print(f"[red]✗[/red] {without_markup(problem)}")
        for warning in warnings:
            err.print(f"[yellow]![/yellow] {without_markup(warning)}")
        if not problems:
            out.print("[green]✓[/green] All audiences, campaigns, templates and policies are fine.")

    emit(as_json, {"problems": problems, "warnings": warnings}, shown)
    if problems:
        raise typer.Exit(1)


@app.command()
def schema() -> None:
    """Write docs/campaign.schema.json, by which editors complete campaign files."""
    from passaparola.journeys.campaign import json_schema
    from passaparola.settings import get_settings

    path = get_settings().home / "docs" / "campaign.schema.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json_schema(), encoding="utf-8")
    out.print(f"Written: {path}")
