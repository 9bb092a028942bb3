"""A few thousand rows of a file into the store, with a handful of statements in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlmodel import Session, col

from passaparola.contacts import activity, events, matching
from passaparola.contacts.addresses import address_key
from passaparola.contacts.audience.words import TRAITS
from passaparola.contacts.events import NewEvent
from passaparola.contacts.imports.columns import ColumnMapping
from passaparola.contacts.imports.rows import Person
from passaparola.settings import Settings
from passaparola.store.bulk import allocate_ids, in_values, insert_many
from passaparola.store.database import Store, audit
from passaparola.store.models import Address, Consent, Contact

NAMED = (*TRAITS, "birthday")


PersonAndContact = tuple[Person, int]  # a row, and the contact that it is about


@dataclass
class ImportTally:
    """What an import did. `rows` is always new + changed + unchanged + rejected; `refused` of them say that the
    person does not want to be written to, and are no yes; `shared` name a telephone or a handle that is somebody
    else's."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    consents: int = 0
    purchases: int = 0
    refused: int = 0
    shared: int = 0
    rejects: str = ""


@dataclass(frozen=True)
class ImportPlan:
    """What is imported, and where to. `topics` are those that every row consents to, by `source`."""

    store: Store
    settings: Settings
    path: Path
    mapping: ColumnMapping
    topics: tuple[str, ...] = ()
    source: str = ""


class Chunk:
    """A few thousand people into the store with a handful of statements."""

    def __init__(self, plan: ImportPlan, session: Session, now: datetime, tally: ImportTally) -> None:
        self.plan, self.session, self.now, self.tally = plan, session, now, tally
        self.touched: set[int] = set()

    def write(self, people: list[Person]) -> None:
        owners = self._find_owners(people)
        self._create_contacts(people, owners)
        whose = [(person, self._contact(person, owners)) for person in people]
        self._update_contacts(
            [(person, contact) for person, contact in whose if person.line != self.made_by.get(contact)]
        )
        self._add_addresses(whose, owners)
        self._propose_shared(whose, owners)
        self._record_consents(whose)
        self._record_purchases(whose)
        self.tally.unchanged += len(people) - len(self.touched)
        self.tally.changed += len(self.touched) - self._new_rows

    def _find_owners(self, people: list[Person]) -> dict[tuple[str, str], int]:
        wanted = {pair for person in people for pair in person.addresses.items()}
        found: dict[tuple[str, str], int] = {}
        for medium in {medium for medium, _ in wanted}:
            values = [value for of, value in wanted if of == medium]
            chosen = select(col(Address.value), col(Address.contact_id))
            known = in_values(self.session, col(Address.value), values)
            rows = self.session.execute(chosen.where(col(Address.medium) == medium, known))
            found |= {(medium, value): contact for value, contact in rows}
        return found

    def _owner(self, person: Person, owners: dict[tuple[str, str], int]) -> int | None:
        return next(
            (owners[pair] for pair in sorted(matching.identifying_addresses(person.addresses)) if pair in owners), None
        )

    def _create_contacts(self, people: list[Person], owners: dict[tuple[str, str], int]) -> None:
        """Create the contacts that are new. Rows of one file that share an email are one person, whichever comes
        first; a telephone is the first row's, and decides about those that have nothing else."""
        groups: dict[tuple[str, str], int] = {}
        fresh: list[Person] = []
        for person in people:
            deciding = sorted(matching.identifying_addresses(person.addresses))
            known = next((groups[pair] for pair in deciding if pair in groups), None)
            if known is None and self._owner(person, owners) is None:
                known = len(fresh)
                fresh.append(person)
            if known is not None:
                groups |= {
                    pair: known for pair in person.addresses.items() if pair not in groups and pair not in owners
                }
        ids = allocate_ids(self.session, Contact, len(fresh))
        rows = [
            {
                "id": id_,
                **dict.fromkeys(NAMED),
                **person.traits,
                "traits": person.custom,
                "sources": {},
                "created_at": self.now,
                "updated_at": self.now,
            }
            for id_, person in zip(ids, fresh, strict=True)
        ]
        insert_many(self.session, Contact, rows)
        self.made = {pair: ids[place] for pair, place in groups.items()}
        self.made_by = dict(zip(ids, (person.line for person in fresh), strict=True))
        self.touched |= {person.line for person in fresh}
        self._new_rows = len(fresh)
        self.tally.new += len(fresh)

    def _contact(self, person: Person, owners: dict[tuple[str, str], int]) -> int:
        owner = self._owner(person, owners)
        return (
            owner
            if owner is not None
            else next(
                self.made[pair]
                for pair in sorted(matching.identifying_addresses(person.addresses))
                if pair in self.made
            )
        )

    def _update_contacts(self, whose: list[PersonAndContact]) -> None:
        """Update contacts. An empty cell says nothing; a filled one replaces what was there."""
        ids = {contact for _, contact in whose}
        columns = [col(Contact.id), *(col(getattr(Contact, name)) for name in NAMED), col(Contact.traits)]
        stood = {
            row[0]: row
            for row in self.session.execute(select(*columns).where(in_values(self.session, col(Contact.id), ids)))
        }
        changes: dict[int, dict[str, Any]] = {}
        for person, contact in whose:
            row = stood[contact]
            standing = {**dict(zip(NAMED, row[1:], strict=False)), "traits": row[-1]} | changes.get(contact, {})
            wanted = {**{name: standing[name] for name in NAMED}, **person.traits}
            wanted["traits"] = {**standing["traits"], **person.custom}
            if wanted != {name: standing[name] for name in wanted}:
                changes[contact] = wanted
                self.touched.add(person.line)
        if changes:
            rows = [{"id": contact, "updated_at": self.now, **wanted} for contact, wanted in changes.items()]
            self.session.execute(update(Contact), rows)

    def _add_addresses(self, whose: list[PersonAndContact], owners: dict[tuple[str, str], int]) -> None:
        """Add addresses. An address that is somebody else's already stays theirs."""
        secret = self.plan.settings.secret
        wanted: dict[tuple[str, str], tuple[int, int]] = {}
        for person, contact in whose:
            for pair in person.addresses.items():
                if pair not in owners and pair not in wanted:
                    wanted[pair] = (contact, person.line)
                    self.touched.add(person.line)
        self.reached = {pair: contact for pair, (contact, _) in wanted.items()}
        if not wanted:
            return
        old = {contact for contact, _ in wanted.values()} - self.made_by.keys()
        ranks: dict[tuple[int, str], int] = {}
        taken = select(col(Address.contact_id), col(Address.medium)).where(
            in_values(self.session, col(Address.contact_id), old)
        )
        for contact, medium in self.session.execute(taken):
            ranks[contact, medium] = ranks.get((contact, medium), 0) + 1
        rows = []
        for (medium, value), (contact, _) in wanted.items():
            rank = ranks.get((contact, medium), 0)
            ranks[contact, medium] = rank + 1
            rows.append(
                {
                    "medium": medium,
                    "value": value,
                    "contact_id": contact,
                    "rank": rank,
                    "key": address_key(secret, medium, value),
                }
            )
        insert_many(self.session, Address, rows)

    def _propose_shared(self, whose: list[PersonAndContact], owners: dict[tuple[str, str], int]) -> None:
        """Propose merges of who shares a telephone. A telephone that is somebody else's already stays theirs;
        whether the two are one person, somebody decides."""
        for person, contact in whose:
            for pair in person.addresses.items():
                other = owners.get(pair, self.reached.get(pair, contact))
                if other != contact and pair not in matching.identifying_addresses(person.addresses):
                    source = f"the file {self.plan.path.name}"
                    self.tally.shared += 1
                    matching.propose_shared_address(self.session, contact, other, pair[0], source, self.now)

    def _record_consents(self, whose: list[PersonAndContact]) -> None:
        """Record consents. A yes in a file is written where nothing was said before, or where it is dated later than
        what was."""
        wanted = self._wanted_consents(whose)
        if not wanted:
            return
        latest = self._latest_answers({contact for contact, _, _ in wanted} - self.made_by.keys())
        rows = []
        for (contact, topic, medium), person in wanted.items():
            answers = latest.get((contact, medium), {})
            last = max((at for name, at in answers.items() if name in (topic, "*")), default=None)
            if last is None or (person.consent_at and person.consent_at > last):
                source = person.consent_source or self.plan.source or f"import of {self.plan.path.name}"
                proof = {"file": self.plan.path.name, "line": person.line}
                rows.append(
                    {
                        "contact_id": contact,
                        "medium": medium,
                        "topic": topic,
                        "granted": True,
                        "basis": "consent",
                        "source": source,
                        "proof": proof,
                        "at": person.consent_at or self.now,
                    }
                )
                self.touched.add(person.line)
        if rows:
            insert_many(self.session, Consent, rows)
            self.tally.consents += len(rows)
            audit(self.session, self.now, "import", "consents recorded", f"file:{self.plan.path.name}", count=len(rows))

    def _wanted_consents(self, whose: list[PersonAndContact]) -> dict[tuple[int, str, str], Person]:
        """Return who says yes to what (contact, topic, medium); whoever says no in any row says no yes in another."""
        wanted: dict[tuple[int, str, str], Person] = {}
        refused = {contact for person, contact in whose if person.refuses}
        self.tally.refused += sum(person.refuses for person, _ in whose)
        for person, contact in whose:
            if contact in refused:
                continue
            for topic, medium in [*person.topics, *((topic, "email") for topic in self.plan.topics)]:
                if medium in person.addresses:
                    wanted.setdefault((contact, topic, medium), person)
        return wanted

    def _latest_answers(self, contacts: set[int]) -> dict[tuple[int, str], dict[str, datetime]]:
        """Return when each contact last answered about each topic, by contact and medium."""
        latest: dict[tuple[int, str], dict[str, datetime]] = {}
        chosen = select(col(Consent.contact_id), col(Consent.medium), col(Consent.topic), col(Consent.at))
        of_contacts = chosen.where(in_values(self.session, col(Consent.contact_id), contacts))
        for contact, medium, topic, at in self.session.execute(of_contacts):
            answers = latest.setdefault((contact, medium), {})
            answers[topic] = max(at, answers.get(topic, at))
        return latest

    def _record_purchases(self, whose: list[PersonAndContact]) -> None:
        rows = [
            NewEvent(
                contact,
                "order_completed",
                bought.at,
                self.now,
                "import",
                bought.id,
                bought.amount,
                bought.currency,
                {"order_id": bought.id} | ({"items": bought.items} if bought.items else {}),
            )
            for person, contact in whose
            if (bought := person.purchase)
        ]
        if not rows:
            return
        fresh = events.record_events(self.session, rows)
        activity.add_events(self.session, self.plan.settings.currency, fresh)
        self.tally.purchases += len(fresh)
        bought_now = {event.source_id for event in fresh}
        self.touched |= {one.line for one, _ in whose if one.purchase and one.purchase.id in bought_now}
