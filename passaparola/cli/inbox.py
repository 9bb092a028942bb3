"""Conversations, staff and the audit on the command line."""

import getpass
import sys
from typing import Annotated

import typer

from passaparola.cli.command import CommandContext, Result, command
from passaparola.cli.output import group, out, without_markup
from passaparola.errors import NotAllowed

inbox = group("What people say to us: see it, answer it, close it.")
staff = group("Who works in the console.")
audits = group("Who did what, in a chain that shows every change.")

PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@command(inbox, "list")
def inbox_list(
    context: CommandContext, everything: Annotated[bool, typer.Option("--all", help="Closed ones, too.")] = False
) -> Result:
    """List open conversations, the most urgent first."""
    from sqlmodel import col, select

    from passaparola.store.models import Conversation

    chosen = select(Conversation).order_by(
        col(Conversation.priority).desc(), col(Conversation.due_at), col(Conversation.id)
    )
    with context.store.read() as session:
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
                "answer until": context.format_time(c.due_at) if c.due_at else None,
                "subject": c.subject[:50],
            }
            for c in conversations[:200]
        ]
    return Result.of_rows(rows)


@command(inbox, "show")
def inbox_show(context: CommandContext, conversation: int) -> Result:
    """Show one conversation, word by word."""
    from sqlmodel import col, select

    from passaparola.conversations import threads
    from passaparola.store.models import Turn

    with context.store.read() as session:
        thread = threads.get_conversation(session, conversation)
        turns = session.exec(
            select(Turn).where(col(Turn.conversation_id) == conversation).order_by(col(Turn.at), col(Turn.id))
        ).all()
        fields = {"at", "author", "text", "automatic"}
        data = {**thread.model_dump(), "turns": [turn.model_dump(include=fields) for turn in turns]}

    def show() -> None:
        about = f"({thread.kind}, {thread.state}), contact {thread.contact_id} by {thread.medium}"
        out.print(f"{without_markup(thread.subject)} {about}")
        for turn in turns:
            author, at = without_markup(turn.author) or "they", context.format_time(turn.at)
            out.print(f"[bold]{author}[/bold] {at}\n{without_markup(turn.text)}\n")

    return Result(data, show)


@command(inbox, "answer")
def inbox_answer(context: CommandContext, conversation: int, text: str) -> str:
    """Write back in the thread, through the same outbox as everything else."""
    from passaparola.outbox import answer

    with context.store.write() as session:
        message = answer.send_answer(
            session, context.settings, conversation, text, actor=context.actor, now=context.now
        )
    return f"It goes out as message {message}."


@command(inbox, "close")
def inbox_close(context: CommandContext, conversation: int) -> str:
    """Close a conversation. What was held from the contact meanwhile goes out after all."""
    from passaparola.outbox import answer

    with context.store.write() as session:
        resumed = answer.close_and_resume(session, conversation, actor=context.actor, now=context.now)
    return f"Closed. {resumed} messages that were held go out now." if resumed else "Closed."


@command(inbox, "themes")
def inbox_themes(context: CommandContext, days: int = 30) -> Result:
    """Show what people say, by topic and mood, with their own sentences."""
    from passaparola.reports import themes

    with context.store.read() as session:
        by_name = themes.find_themes(session, context.now, days)

    def show() -> None:
        for topic, theme in by_name.items():
            moods = ", ".join(f"{count} {mood}" for mood, count in theme.moods.items() if count)
            out.print(f"[bold]{without_markup(topic)}[/bold] {theme.count}: {moods}")
            for mood, sentence in theme.examples:
                out.print(f"   {mood}: “{without_markup(sentence)}”")

    return Result({topic: vars(theme) for topic, theme in by_name.items()}, show)


@command(staff, "add")
def staff_add(
    context: CommandContext,
    name: str,
    role: Annotated[str, typer.Option(help="reader, care, marketer or admin")] = "care",
    password_stdin: PasswordStdin = False,
) -> str:
    """Let someone into the console. The password is asked for, and never shown."""
    from passaparola.contacts import staff as people

    password = _read_password(password_stdin)
    with context.store.write() as session:
        people.add_staff(session, name, role, password, actor=context.actor, now=context.now)
    return f"{without_markup(name)} may enter at /console as {role}."


@command(staff, "change")
def staff_change(context: CommandContext, name: str, role: str = "", password_stdin: PasswordStdin = False) -> str:
    """Give a colleague another role or another password. Their open sessions end at once."""
    from passaparola.contacts import staff as people

    password = _read_password(True) if password_stdin else None
    with context.store.write() as session:
        people.change_staff(session, name, actor=context.actor, now=context.now, role=role or None, password=password)
    return f"{without_markup(name)}: changed."


@command(staff, "deactivate")
def staff_deactivate(context: CommandContext, name: str) -> str:
    """Close the console to a colleague who no longer works here. Their open sessions end at once."""
    from passaparola.contacts import staff as people

    with context.store.write() as session:
        people.change_staff(session, name, actor=context.actor, now=context.now, active=False)
    return f"{without_markup(name)} may no longer enter."


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Once more: "):
        raise NotAllowed("The two are not the same.")
    return password


@command(audits, "check")
def audit_check(context: CommandContext) -> Result:
    """Read the chain from its beginning. Exit code 1: a row was changed or taken out."""
    from passaparola.store import audit_chain

    audit_chain.link_new_rows(context.store, context.now)
    with context.store.read() as session:
        chain = audit_chain.verify_chain(session)
    sentence = (
        f"[red]✗[/red] {chain.broken}"
        if chain.broken
        else f"[green]✓[/green] {chain.linked:,} rows, none changed, none missing."
    )
    return Result(vars(chain), lambda: out.print(sentence), failure="" if chain.broken else None)
