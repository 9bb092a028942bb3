"""Conversations, staff and the audit on the command line."""

import getpass
from typing import Annotated

import typer

from passaparola.cli.output import AsJson, actor, emit, format_time, group, now, open_store, out, table, without_markup
from passaparola.errors import NotAllowed

inbox = group("What people say to us: see it, answer it, close it.")
staff = group("Who works in the console.")
audits = group("Who did what, in a chain that shows every change.")


@inbox.command("list")
def inbox_list(
    everything: Annotated[bool, typer.Option("--all", help="Closed ones, too.")] = False, as_json: AsJson = False
) -> None:
    """Open conversations, the most urgent first."""
    from sqlmodel import col, select

    from passaparola.store.models import Conversation

    settings, store = open_store()
    chosen = select(Conversation).order_by(
        col(Conversation.priority).desc(), col(Conversation.due_at), col(Conversation.id)
    )
    with store.read() as session:
        conversations = session.exec(chosen if everything else chosen.where(col(Conversation.state) != "closed")).all()
        rows = [
            {
                "id": c.id,
                "contact": c.contact_id,
                "by": c.medium,
                "state": c.state,
                "kind": c.kind,
                "topic": c.topic,
                "priority": c.priority,
                "team": c.team,
                "answer until": format_time(settings, c.due_at) if c.due_at else None,
                "subject": c.subject[:50],
            }
            for c in conversations[:200]
        ]
    emit(as_json, rows, lambda: table(rows))


@inbox.command("show")
def inbox_show(conversation: int, as_json: AsJson = False) -> None:
    """Show one conversation, word by word."""
    from sqlmodel import col, select

    from passaparola.conversations import threads
    from passaparola.store.models import Turn

    settings, store = open_store()
    with store.read() as session:
        thread = threads.get_conversation(session, conversation)
        turns = session.exec(
            select(Turn).where(col(Turn.conversation_id) == conversation).order_by(col(Turn.at), col(Turn.id))
        ).all()
        data = {
            **thread.model_dump(),
            "turns": [t.model_dump(include={"at", "author", "text", "automatic"}) for t in turns],
        }

    def shown() -> None:
        out.print(
            f"{without_markup(thread.subject)} ({thread.kind}, {thread.state}), contact {thread.contact_id} by "
            f"{thread.medium}"
        )
        for turn in turns:
            out.print(
                f"[bold]{without_markup(turn.author) or 'they'}[/bold] "
                f"{format_time(settings, turn.at)}\n{without_markup(turn.text)}\n"
            )

    emit(as_json, data, shown)


@inbox.command("answer")
def inbox_answer(conversation: int, text: str) -> None:
    """Write back in the thread, through the same outbox as everything else."""
    from passaparola.outbox import answer

    settings, store = open_store()
    with store.write() as session:
        message = answer.send_answer(session, settings, conversation, text, actor=actor(), now=now())
    out.print(f"It goes out as message {message}.")


@inbox.command("close")
def inbox_close(conversation: int) -> None:
    """Close a conversation. What was held from the contact meanwhile goes out after all."""
    from passaparola.outbox import answer

    _, store = open_store()
    with store.write() as session:
        resumed = answer.close_and_resume(session, conversation, actor=actor(), now=now())
    out.print(f"Closed. {resumed} messages that were held go out now." if resumed else "Closed.")


@inbox.command("themes")
def inbox_themes(days: int = 30, as_json: AsJson = False) -> None:
    """Show what people say, by topic and mood, with their own sentences."""
    from passaparola.reports import themes

    _, store = open_store()
    with store.read() as session:
        by_name = themes.find_themes(session, now(), days)

    def shown() -> None:
        for topic, voice in by_name.items():
            out.print(
                f"[bold]{without_markup(topic)}[/bold] {voice.count}: "
                + ", ".join(f"{n} {feeling}" for feeling, n in voice.moods.items() if n)
            )
            for feeling, sentence in voice.examples:
                out.print(f"   {feeling}: “{without_markup(sentence)}”")

    emit(as_json, {topic: vars(voice) for topic, voice in by_name.items()}, shown)


@staff.command("add")
def staff_add(
    name: str,
    role: Annotated[str, typer.Option(help="reader, care, marketer or admin")] = "care",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Let someone into the console. The password is asked for, and never shown."""
    from passaparola.contacts import staff as people

    _, store = open_store()
    given = _password(password_stdin)
    with store.write() as session:
        people.add_staff(session, name, role, given, actor=actor(), now=now())
    out.print(f"{without_markup(name)} may enter at /console as {role}.")


@staff.command("change")
def staff_change(
    name: str,
    role: str = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="A new password from standard input.")
    ] = False,
) -> None:
    """Give a colleague another role or another password. Their open sessions end at once."""
    from passaparola.contacts import staff as people

    _, store = open_store()
    given = _password(True) if password_stdin else None
    with store.write() as session:
        people.change_staff(session, name, actor=actor(), now=now(), role=role or None, password=given)
    out.print(f"{without_markup(name)}: changed.")


@staff.command("deactivate")
def staff_deactivate(name: str) -> None:
    """Close the console to a colleague who no longer works here. Their open sessions end at once."""
    from passaparola.contacts import staff as people

    _, store = open_store()
    with store.write() as session:
        people.change_staff(session, name, actor=actor(), now=now(), active=False)
    out.print(f"{without_markup(name)} may no longer enter.")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        import sys

        return sys.stdin.readline().rstrip("\n")
    given = getpass.getpass("Password: ")
    if given != getpass.getpass("Once more: "):
        raise NotAllowed("The two are not the same.")
    return given


@audits.command("check")
def audit_check(as_json: AsJson = False) -> None:
    """Read the chain from its beginning. Exit code 1: a row was changed or taken out."""
    from passaparola.store import audit_chain

    _, store = open_store()
    audit_chain.link_new_rows(store, now())
    with store.read() as session:
        fault = audit_chain.verify_chain(session)
    emit(
        as_json,
        vars(fault),
        lambda: out.print(
            f"[red]✗[/red] {fault.broken}"
            if fault.broken
            else f"[green]✓[/green] {fault.linked:,} rows, none changed, none missing."
        ),
    )
    if fault.broken:
        raise typer.Exit(1)
