"""Audiences on the command line: who is in one, and why."""

from typing import Annotated

import typer

from passaparola.cli.command import CommandContext, Result, command, find_contact
from passaparola.cli.output import group, out, without_markup

audiences = group("Ask who is in an audience, and why.")


@command(audiences, "count")
def audience_count(
    context: CommandContext, question: Annotated[str, typer.Argument(help="A name or a question.")]
) -> Result:
    """Count the contacts in an audience now."""
    from passaparola.contacts import audience

    with context.store.read() as session:
        parsed = audience.Question.parse(question, audience.load_catalogue(session, context.settings))
        count = audience.count_members(session, parsed, context.house_now)
    return Result({"audience": question, "count": count}, lambda: out.print(f"{count:,}"))


@command(audiences, "sample")
def audience_sample(
    context: CommandContext, question: str, size: Annotated[int, typer.Option(min=1, max=1000)] = 10
) -> Result:
    """Show a few contacts of an audience, the same ones each time."""
    from passaparola.contacts import audience

    with context.store.read() as session:
        parsed = audience.Question.parse(question, audience.load_catalogue(session, context.settings))
        people = audience.sample_members(session, parsed, context.house_now, size)
        fields = {"id", "first_name", "last_name", "country", "language"}
        rows = [person.model_dump(include=fields) for person in people]
    return Result({"audience": question, "contacts": rows}, Result.of_rows(rows).show)


@command(audiences, "explain")
def audience_explain(
    context: CommandContext,
    question: str,
    contact: Annotated[str, typer.Option(help="An address or an id.")],
) -> Result:
    """Show which parts of the question hold for one contact, and which do not."""
    from passaparola.contacts import audience

    with context.store.read() as session:
        parsed = audience.Question.parse(question, audience.load_catalogue(session, context.settings))
        verdicts = audience.explain_contact(session, parsed, find_contact(session, contact), context.house_now)

    def show() -> None:
        for verdict in verdicts:
            mark = "[green]✓[/green]" if verdict.holds else "[red]✗[/red]"
            out.print(f"{'  ' * verdict.depth}{mark} {without_markup(verdict.text)}")

    return Result({"holds": verdicts[0].holds, "parts": [vars(verdict) for verdict in verdicts]}, show)


@command(audiences, "list")
def audience_list() -> Result:
    """List the files of audiences/."""
    from passaparola.contacts import audience
    from passaparola.settings import get_settings

    home = get_settings().home
    names = audience.audience_names(home)
    return Result.of_rows([{"name": name, "title": audience.load_audience(home, name).title} for name in names])
