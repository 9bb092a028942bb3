"""One contact on the command line: what we know, what they allow, who they turned out to be, and forgetting them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from passaparola.cli.command import CommandContext, Result, command, find_contact
from passaparola.cli.output import group, out
from passaparola.errors import NotAllowed, Unknown

contacts = group("One contact: what we know, what they allow, who they are.")


@command(contacts, "show")
def contact_show(context: CommandContext, contact: str) -> Result:
    """Show what we know of a contact, and what they allow."""
    from sqlmodel import col, select

    from passaparola.store.models import Address, Consent, Contact

    with context.store.read() as session:
        id_ = find_contact(session, contact)
        person = session.get(Contact, id_)
        assert person is not None
        reached = session.exec(select(Address).where(col(Address.contact_id) == id_)).all()
        consents = session.exec(select(Consent).where(col(Consent.contact_id) == id_).order_by(col(Consent.at))).all()
        fields = {"medium", "topic", "granted", "basis", "source", "at"}
        data = {
            **person.model_dump(exclude_none=True),
            "addresses": {address.medium: address.value for address in reached},
            "consents": [consent.model_dump(include=fields) for consent in consents],
        }
    return Result(data, lambda: out.print_json(json.dumps(data, default=str, ensure_ascii=False)))


@command(contacts, "unsubscribe")
def contact_unsubscribe(
    context: CommandContext,
    contact: str,
    topic: Annotated[str, typer.Option(help="One topic; default: everything.")] = "*",
    medium: str = "email",
) -> str:
    """Write down a contact's no; nothing about the topic is sent to them from this moment on."""
    from passaparola.contacts import consent
    from passaparola.contacts.audience.words import is_medium, media
    from passaparola.errors import did_you_mean

    if not is_medium(medium):
        raise Unknown(f"“{medium}” is not a medium{did_you_mean(medium, media())}")
    with context.store.write() as session:
        id_ = find_contact(session, contact)
        new = consent.record(session, id_, medium, topic, False, at=context.now, source=context.actor)
    about = "everything" if topic == "*" else topic
    return f"Contact {id_} said no to {about} by {medium}." if new else f"That no already stands for contact {id_}."


@command(contacts, "merge")
def contact_merge(
    context: CommandContext, keep: str, other: str, because: Annotated[str, typer.Option(help="Why they are one.")] = ""
) -> str:
    """Merge two rows that are one person; `unmerge` parts them again with nothing lost."""
    from passaparola.contacts import merging

    reasons = [because or "said by an operator"]
    with context.store.write() as session:
        first, second = find_contact(session, keep), find_contact(session, other)
        row = merging.merge(
            session, context.settings, first, second, actor=context.actor, now=context.now, reasons=reasons
        )
        return f"Contact {row.merged_id} is one with contact {row.kept_id}. Undo it with: contact unmerge {row.id}"


@command(contacts, "unmerge")
def contact_unmerge(
    context: CommandContext, merge: Annotated[int, typer.Argument(help="The number that merging gave it.")]
) -> str:
    """Undo a merge: everything goes back to the contact it came from; what came since stays."""
    from passaparola.contacts import unmerging

    with context.store.write() as session:
        row = unmerging.unmerge(session, context.settings, merge, actor=context.actor, now=context.now)
        return f"Contacts {row.kept_id} and {row.merged_id} are two again."


@command(contacts, "proposals")
def contact_proposals(
    context: CommandContext,
    look: Annotated[bool, typer.Option("--look", help="Look for new ones first.")] = False,
    refuse: Annotated[int, typer.Option(help="A proposal that is wrong.")] = 0,
) -> Result:
    """List who may be one person, how likely and why; merge them with `contact merge ONE OTHER`."""
    from sqlmodel import col, select

    from passaparola.contacts import duplicates
    from passaparola.store.models import Proposal

    with context.store.write() as session:
        if look:
            duplicates.propose_duplicates(session, context.now)
        if refuse:
            wrong = session.get(Proposal, refuse)
            if wrong is None:
                raise Unknown(f"There is no proposal {refuse}.")
            wrong.state, wrong.decided_by = "refused", context.actor
        session.flush()
        open_ = select(Proposal).where(col(Proposal.state) == "open").order_by(col(Proposal.score).desc()).limit(100)
        rows = [
            {"id": p.id, "one": p.one_id, "other": p.other_id, "score": p.score, "reasons": "; ".join(p.reasons)}
            for p in session.exec(open_)
        ]
    return Result.of_rows(rows)


@command(contacts, "balance")
def contact_balance(context: CommandContext, topic: str = "newsletter") -> Result:
    """Count who is known online, offline or both; how many of them may be written to; what they are worth."""
    from passaparola.reports import people

    with context.store.read() as session:
        sides = people.compare_online_offline(session, topic)
    rows = [
        {
            "known": name,
            "people": side.people,
            "may be written to": side.consenting,
            f"{context.settings.currency} each": f"{side.spent / 100 / max(1, side.people):,.2f}",
        }
        for name, side in sides.items()
    ]
    return Result({name: side.as_json() for name, side in sides.items()}, Result.of_rows(rows).show)


@command(contacts, "lifecycle")
def contact_lifecycle(context: CommandContext) -> Result:
    """Count leads, fans, customers and advocates; and who only reads, takes part, or makes something."""
    from passaparola.reports import people

    with context.store.read() as session:
        totals = people.count_lifecycles(session)

    def show() -> None:
        for name, counts in (("lifecycle", totals.lifecycle), ("participation", totals.participation)):
            out.print(f"{name}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))

    return Result(totals.as_json(), show)


@command(contacts, "export")
def contact_export(
    context: CommandContext,
    contact: str,
    to: Annotated[Path | None, typer.Option(help="A file; default: here.")] = None,
) -> None:
    """Write everything that we know of one person as JSON: what they have a right to."""
    from passaparola.privacy import export

    with context.store.read() as session:
        data = export.export_contact(session, find_contact(session, contact), context.now)
    text = json.dumps(data, ensure_ascii=False, indent=1, default=str)
    if to:
        to.write_text(text + "\n", encoding="utf-8")
        out.print(f"Written: {to}")
    else:
        out.print_json(text)


@command(contacts, "erase")
def contact_erase(
    context: CommandContext,
    contact: str,
    yes: Annotated[bool, typer.Option("--yes", help="Without being asked.")] = False,
) -> str:
    """Forget a person everywhere, for good. Only a keyed hash of their addresses is left, so that nobody writes
    there again."""
    from passaparola import engine

    with context.store.read() as session:
        id_ = find_contact(session, contact)
    if not yes and not typer.confirm(f"Forget contact {id_} for good?"):
        raise NotAllowed("Nothing was erased.")
    engine.erase_contact(context.store, context.settings, id_, actor=context.actor, now=context.now)
    return f"Contact {id_} is forgotten. Backups older than today still hold them: see docs/operations.md."
