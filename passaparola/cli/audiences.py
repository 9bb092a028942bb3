"""Audiences on the command line: who is in one, and why."""

from typing import Annotated

import typer

from passaparola.cli.output import (
    AsJson,
    contact_id,
    emit,
    group,
    house_now,
    open_store,
    out,
    table,
    without_markup,
)

audiences = group("Ask who is in an audience, and why.")


@audiences.command("count")
def audience_count(
    question: Annotated[str, typer.Argument(help="A name or a question.")], as_json: AsJson = False
) -> None:
    """Count the contacts in an audience now."""
    from passaparola.contacts import audience

    settings, store = open_store()
    with store.read() as session:
        question_ = audience.Question.parse(question, audience.load_catalogue(session, settings))
        count = audience.count_members(session, question_, house_now(settings))
    emit(as_json, {"audience": question, "count": count}, lambda: out.print(f"{count:,}"))


@audiences.command("sample")
def audience_sample(
    question: str, size: Annotated[int, typer.Option(min=1, max=1000)] = 10, as_json: AsJson = False
) -> None:
    """Show a few contacts of an audience, the same ones each time."""
    from passaparola.contacts import audience

    settings, store = open_store()
    with store.read() as session:
        question_ = audience.Question.parse(question, audience.load_catalogue(session, settings))
        people = audience.sample_members(session, question_, house_now(settings), size)
        rows = [
            {
                "id": p.id,
                "first_name": p.first_name,
                "last_name": p.last_name,
                "country": p.country,
                "language": p.language,
            }
            for p in people
        ]
    emit(as_json, {"audience": question, "contacts": rows}, lambda: table(rows))


@audiences.command("explain")
def audience_explain(
    question: str,
    contact: Annotated[str, typer.Option(help="An address or an id.")],
    as_json: AsJson = False,
) -> None:
    """Show which parts of the question hold for one contact, and which do not."""
    from passaparola.contacts import audience

    settings, store = open_store()
    with store.read() as session:
        question_ = audience.Question.parse(question, audience.load_catalogue(session, settings))
        verdicts = audience.explain_contact(session, question_, contact_id(session, contact), house_now(settings))

    def shown() -> None:
        for verdict in verdicts:
            mark = "[green]✓[/green]" if verdict.holds else "[red]✗[/red]"
            out.print(f"{'  ' * verdict.depth}{mark} {without_markup(verdict.text)}")

    emit(as_json, {"holds": verdicts[0].holds, "parts": [vars(verdict) for verdict in verdicts]}, shown)


@audiences.command("list")
def audience_list(as_json: AsJson = False) -> None:
    """List the files of audiences/."""
    from passaparola.contacts import audience
    from passaparola.settings import get_settings

    rows = [
        {"name": name, "title": audience.load_audience(get_settings().home, name).title}
        for name in audience.audience_names(get_settings().home)
    ]
    emit(as_json, rows, lambda: table(rows))
