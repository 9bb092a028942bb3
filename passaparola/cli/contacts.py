"""One contact on the command line: what we know, what they allow, who they turned out to be, and forgetting them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from passaparola.cli.output import AsJson, actor, contact_id, emit, group, now, open_store, out, table, without_markup
from passaparola.errors import NotAllowed, Unknown

contacts = group("One contact: what we know, what they allow, who they are.")


@contacts.command("show")
def contact_show(contact: str, as_json: AsJson = False) -> None:
    """Show what we know of a contact, and what they allow."""
    from sqlmodel import col, select

    from passaparola.store.models import Address, Consent, Contact

    _, store = open_store()
    with store.read() as session:
        id_ = contact_id(session, contact)
        person = session.get(Contact, id_)
        assert person is not None
        reached = session.exec(select(Address).where(col(Address.contact_id) == id_)).all()
        consents = session.exec(select(Consent).where(col(Consent.contact_id) == id_).order_by(col(Consent.at))).all()
        data = {
            **person.model_dump(exclude_none=True),
            "addresses": {address.medium: address.value for address in reached},
            "consents": [
                c.model_dump(include={"medium", "topic", "granted", "basis", "source", "at"}) for c in consents
            ],
        }
    emit(as_json, data, lambda: out.print_json(json.dumps(data, default=str, ensure_ascii=False)))


@contacts.command("unsubscribe")
def contact_unsubscribe(
    contact: str,
    topic: Annotated[str, typer.Option(help="One topic; default: everything.")] = "*",
    medium: str = "email",
) -> None:
    """Write down a contact's no; nothing about the topic is sent to them from this moment on."""
    from passaparola.contacts import consent
    from passaparola.contacts.audience.words import is_medium, media
    from passaparola.errors import did_you_mean

    if not is_medium(medium):
        raise Unknown(f"“{medium}” is not a medium{did_you_mean(medium, media())}")
    _, store = open_store()
    with store.write() as session:
        id_ = contact_id(session, contact)
        new = consent.record(session, id_, medium, topic, False, at=now(), source=actor())
    about = "everything" if topic == "*" else topic
    out.print(f"Contact {id_} said no to {about} by {medium}." if new else f"That no already stands for contact {id_}.")


@contacts.command("merge")
def contact_merge(keep: str, other: str, because: Annotated[str, typer.Option(help="Why they are one.")] = "") -> None:
    """Merge two rows that are one person; `unmerge` parts them again with nothing lost."""
    from passaparola.contacts import merging

    settings, store = open_store()
    with store.write() as session:
        first, second = contact_id(session, keep), contact_id(session, other)
        row = merging.merge(
            session, settings, first, second, actor=actor(), now=now(), reasons=[because or "said by an operator"]
        )
        out.print(f"Contact {row.merged_id} is one with contact {row.kept_id}. Undo it with: contact unmerge {row.id}")


@contacts.command("unmerge")
def contact_unmerge(merge: Annotated[int, typer.Argument(help="The number that merging gave it.")]) -> None:
    """Undo a merge: everything goes back to whom it came from; what came since stays."""
    from passaparola.contacts import unmerging

    settings, store = open_store()
    with store.write() as session:
        row = unmerging.unmerge(session, settings, merge, actor=actor(), now=now())
        out.print(f"Contacts {row.kept_id} and {row.merged_id} are two again.")


@contacts.command("proposals")
def contact_proposals(
    look: Annotated[bool, typer.Option("--look", help="Look for new ones first.")] = False,
    refuse: Annotated[int, typer.Option(help="A proposal that is wrong.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List who may be one person, how likely and why; merge them with `contact merge ONE OTHER`."""
    from sqlmodel import col, select

    from passaparola.contacts import duplicates
    from passaparola.store.models import Proposal

    _, store = open_store()
    with store.write() as session:
        if look:
            duplicates.propose_duplicates(session, now())
        if refuse:
            wrong = session.get(Proposal, refuse)
            if wrong is None:
                raise Unknown(f"There is no proposal {refuse}.")
            wrong.state, wrong.decided_by = "refused", actor()
        session.flush()
        open_ = select(Proposal).where(col(Proposal.state) == "open").order_by(col(Proposal.score).desc()).limit(100)
        rows = [
            {"id": p.id, "one": p.one_id, "other": p.other_id, "score": p.score, "reasons": "; ".join(p.reasons)}
            for p in session.exec(open_)
        ]
    emit(as_json, rows, lambda: table(rows))


@contacts.command("balance")
def contact_balance(topic: str = "newsletter", as_json: AsJson = False) -> None:
    """Count who is known online, offline or both; how many of them may be written to; what they are worth."""
    from passaparola.reports import people

    settings, store = open_store()
    with store.read() as session:
        sides = people.compare_online_offline(session, topic)
    rows = [
        {
            "known": name,
            "people": side.people,
            "may be written to": side.consenting,
            f"{settings.currency} each": f"{side.spent / 100 / max(1, side.people):,.2f}",
        }
        for name, side in sides.items()
    ]
    emit(as_json, {name: side.as_json() for name, side in sides.items()}, lambda: table(rows))


@contacts.command("lifecycle")
def contact_lifecycle(as_json: AsJson = False) -> None:
    """Count leads, fans, customers and advocates; and who only reads, takes part, or makes something."""
    from passaparola.reports import people

    _, store = open_store()
    with store.read() as session:
        totals = people.count_lifecycles(session)

    def shown() -> None:
        for name, counts in (("lifecycle", totals.lifecycle), ("participation", totals.participation)):
            out.print(f"{name}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))

    emit(as_json, totals.as_json(), shown)


@contacts.command("export")
def contact_export(
    contact: str, to: Annotated[Path | None, typer.Option(help="A file; default: here.")] = None
) -> None:
    """Write everything that we know of one person as JSON: what they have a right to."""
    from passaparola.privacy import export

    _, store = open_store()
    with store.read() as session:
        data = export.export_contact(session, contact_id(session, contact), now())
    text = json.dumps(data, ensure_ascii=False, indent=1, default=str)
    if to:
        to.write_text(text + "\n", encoding="utf-8")
        out.print(f"Written: {to}")
    else:
        out.print_json(text)


@contacts.command("erase")
def contact_erase(
    contact: str, yes: Annotated[bool, typer.Option("--yes", help="Without being asked.")] = False
) -> None:
    """Forget a person everywhere, for good. Only a keyed hash of their addresses is left, so that nobody writes
    there again."""
    from passaparola import engine

    settings, store = open_store()
    with store.read() as session:
        id_ = contact_id(session, contact)
    if not yes and not typer.confirm(f"Forget contact {id_} for good?"):
        raise NotAllowed("Nothing was erased.")
    engine.erase_contact(store, settings, id_, actor=actor(), now=now())
    out.print(
        f"Contact {id_} is forgotten. "
        f"{without_markup('Backups older than today still hold them: see docs/operations.md.')}"
    )
