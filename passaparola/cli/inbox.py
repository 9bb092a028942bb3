"""Conversations, staff and the audit on the command line."""

import getpass
from typing import Annotated

import typer

from passaparola.cli.output import AsJson, actor, at_home, group, now, opened, out, plain, say, table
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

    own, store = opened()
    chosen = select(Conversation).order_by(
        col(Conversation.priority).desc(), col(Conversation.due_at), col(Conversation.id)
    )
    with store.read() as session:
        found = session.exec(chosen if everything else chosen.where(col(Conversation.state) != "closed")).all()
        rows = [
            {"id": c.id, "contact": c.contact_id, "by": c.medium, "state": c.state, "kind": c.kind, "topic": c.topic, "priority": c.priority,
             "team": c.team, "answer until": at_home(own, c.due_at) if c.due_at else None, "subject": c.subject[:50]}
            for c in found[:200]
        ]  # fmt: skip
    say(as_json, rows, lambda: table(rows))


@inbox.command("show")
def inbox_show(conversation: int, as_json: AsJson = False) -> None:
    """One conversation, word by word."""
    from sqlmodel import col, select

    from passaparola.conversations import threads
    from passaparola.store.models import Turn

    own, store = opened()
    with store.read() as session:
        one = threads.conversation_of(session, conversation)
        turns = session.exec(
            select(Turn).where(col(Turn.conversation_id) == conversation).order_by(col(Turn.at), col(Turn.id))
        ).all()
        data = {
            **one.model_dump(),
            "turns": [t.model_dump(include={"at", "author", "text", "automatic"}) for t in turns],
        }

    def shown() -> None:
        out.print(f"{plain(one.subject)} ({one.kind}, {one.state}), contact {one.contact_id} by {one.medium}")
        for turn in turns:
            out.print(f"[bold]{plain(turn.author) or 'they'}[/bold] {at_home(own, turn.at)}\n{plain(turn.text)}\n")

    say(as_json, data, shown)


@inbox.command("answer")
def inbox_answer(conversation: int, text: str) -> None:
    """Write back in the thread, through the same outbox as everything else."""
    from passaparola.outbox import answer

    own, store = opened()
    with store.write() as session:
        message = answer.answer(session, own, conversation, text, actor=actor(), now=now())
    out.print(f"It goes out as message {message}.")


@inbox.command("close")
def inbox_close(conversation: int) -> None:
    """Seen to. What was held from the person meanwhile goes out after all."""
    from passaparola.outbox import answer

    _, store = opened()
    with store.write() as session:
        resumed = answer.close(session, conversation, actor=actor(), now=now())
    out.print(f"Closed. {resumed} messages that were held go out now." if resumed else "Closed.")


@inbox.command("voices")
def inbox_voices(days: int = 30, as_json: AsJson = False) -> None:
    """What people say, by topic and mood, with their own sentences."""
    from passaparola.reports import themes

    _, store = opened()
    with store.read() as session:
        found = themes.voices(session, now(), days)

    def shown() -> None:
        for topic, voice in found.items():
            out.print(
                f"[bold]{plain(topic)}[/bold] {voice.count}: "
                + ", ".join(f"{n} {feeling}" for feeling, n in voice.moods.items() if n)
            )
            for feeling, sentence in voice.examples:
                out.print(f"   {feeling}: “{plain(sentence)}”")

    say(as_json, {topic: vars(voice) for topic, voice in found.items()}, shown)


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

    _, store = opened()
    given = _password(password_stdin)
    with store.write() as session:
        people.add(session, name, role, given, actor=actor(), now=now())
    out.print(f"{plain(name)} may enter at /console as {role}.")


@staff.command("change")
def staff_change(
    name: str,
    role: str = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="A new password from standard input.")
    ] = False,
    leaves: Annotated[bool, typer.Option("--leaves", help="They no longer work here.")] = False,
) -> None:
    """Another role, another password, or the end; whichever it is, their open sessions end at once."""
    from passaparola.contacts import staff as people

    _, store = opened()
    given = _password(True) if password_stdin else None
    with store.write() as session:
        people.change(
            session, name, actor=actor(), now=now(), role=role or None, password=given, active=False if leaves else None
        )
    out.print(f"{plain(name)}: changed.")


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

    _, store = opened()
    audit_chain.link(store, now())
    with store.read() as session:
        found = audit_chain.check(session)
    say(
        as_json,
        vars(found),
        lambda: out.print(
            f"[red]✗[/red] {found.broken}"
            if found.broken
            else f"[green]✓[/green] {found.linked:,} rows, none changed, none missing."
        ),
    )
    if found.broken:
        raise typer.Exit(1)
