"""One chunk of an import: a few thousand rows, written with few statements in one transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlmodel import Session, col

from passaparola.contacts import matching
from passaparola.contacts.addresses import address_key
from passaparola.contacts.audience.words import TRAITS
from passaparola.contacts.imports.facts import PersonAndContact, record_consents, record_purchases
from passaparola.contacts.imports.plan import ImportPlan, ImportTally
from passaparola.contacts.imports.rows import Person
from passaparola.store.bulk import allocate_ids, in_values, insert_many
from passaparola.store.models import Address, Contact

NAMED = (*TRAITS, "birthday")


class Chunk:
    """Writes a few thousand people into the store with a handful of statements."""

    def __init__(self, plan: ImportPlan, session: Session, now: datetime, tally: ImportTally) -> None:
        self.plan, self.session, self.now, self.tally = plan, session, now, tally
        self.touched: set[int] = set()

    def write(self, people: list[Person]) -> None:
        owners = self._find_owners(people)
        self._create_contacts(people, owners)
        pairs = [(person, self._contact(person, owners)) for person in people]
        self._update_contacts(
            [(person, contact) for person, contact in pairs if person.line != self.made_by.get(contact)]
        )
        self._add_addresses(pairs, owners)
        self._propose_shared(pairs, owners)
        self._record_facts(pairs)
        self.tally.unchanged += len(people) - len(self.touched)
        self.tally.changed += len(self.touched) - self._new_rows

    def _find_owners(self, people: list[Person]) -> dict[tuple[str, str], int]:
        wanted = {pair for person in people for pair in person.addresses.items()}
        owners: dict[tuple[str, str], int] = {}
        for medium in {medium for medium, _ in wanted}:
            values = [value for of, value in wanted if of == medium]
            chosen = select(col(Address.value), col(Address.contact_id))
            known = in_values(self.session, col(Address.value), values)
            rows = self.session.execute(chosen.where(col(Address.medium) == medium, known))
            owners |= {(medium, value): contact for value, contact in rows}
        return owners

    def _owner(self, person: Person, owners: dict[tuple[str, str], int]) -> int | None:
        return next(
            (owners[pair] for pair in sorted(matching.identifying_addresses(person.addresses)) if pair in owners), None
        )

    def _create_contacts(self, people: list[Person], owners: dict[tuple[str, str], int]) -> None:
        """Create the new contacts. Rows that share an email are one person; a telephone belongs to the first row that
        has it, and identifies only rows that have nothing else."""
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

    def _update_contacts(self, pairs: list[PersonAndContact]) -> None:
        """Update contacts: a filled cell replaces what was there, an empty one changes nothing."""
        ids = {contact for _, contact in pairs}
        columns = [col(Contact.id), *(col(getattr(Contact, name)) for name in NAMED), col(Contact.traits)]
        stood = {
            row[0]: row
            for row in self.session.execute(select(*columns).where(in_values(self.session, col(Contact.id), ids)))
        }
        changes: dict[int, dict[str, Any]] = {}
        for person, contact in pairs:
            row = stood[contact]
            existing = {**dict(zip(NAMED, row[1:], strict=False)), "traits": row[-1]} | changes.get(contact, {})
            wanted = {**{name: existing[name] for name in NAMED}, **person.traits}
            wanted["traits"] = {**existing["traits"], **person.custom}
            if wanted != {name: existing[name] for name in wanted}:
                changes[contact] = wanted
                self.touched.add(person.line)
        if changes:
            rows = [{"id": contact, "updated_at": self.now, **wanted} for contact, wanted in changes.items()]
            self.session.execute(update(Contact), rows)

    def _add_addresses(self, pairs: list[PersonAndContact], owners: dict[tuple[str, str], int]) -> None:
        """Add addresses; one that is somebody else's already stays theirs."""
        secret = self.plan.settings.secret
        wanted: dict[tuple[str, str], tuple[int, int]] = {}
        for person, contact in pairs:
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

    def _propose_shared(self, pairs: list[PersonAndContact], owners: dict[tuple[str, str], int]) -> None:
        """Propose merges of contacts who share a telephone. It stays with whom it belonged to; whether the two are
        one person, somebody decides."""
        for person, contact in pairs:
            for pair in person.addresses.items():
                other = owners.get(pair, self.reached.get(pair, contact))
                if other != contact and pair not in matching.identifying_addresses(person.addresses):
                    source = f"the file {self.plan.path.name}"
                    self.tally.shared += 1
                    matching.propose_shared_address(self.session, contact, other, pair[0], source, self.now)

    def _record_facts(self, pairs: list[PersonAndContact]) -> None:
        consented = record_consents(self.session, self.plan, pairs, self.made_by.keys(), self.now)
        purchases, bought = record_purchases(self.session, self.plan, pairs, self.now)
        self.touched |= {*consented, *bought}
        self.tally.refused += sum(person.refuses for person, _ in pairs)
        self.tally.consents += len(consented)
        self.tally.purchases += purchases
