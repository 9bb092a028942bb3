"""The cast: Alice said yes, Bob said no, Carla was never asked, Dario is suppressed, Elena has no email, Franz asked
to be forgotten. And crowds, where only numbers matter."""

from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session

from passaparola.channel.message_ids import MessageId
from passaparola.contacts.addresses import address_key
from passaparola.outbox.links import LinkRef
from passaparola.store.database import Store
from passaparola.store.models import Address, Consent, Contact, Suppression

SECRET = "a secret of the tests"


def add(
    session: Session, first_name: str, now: datetime, *, email: str | None = "", says: bool | None = True, **traits: Any
) -> int:
    """One contact with an email address of their own name; `says` is their answer to the newsletter."""
    custom = traits.pop("traits", {})
    person = Contact(first_name=first_name, created_at=now, updated_at=now, traits=custom, **traits)
    session.add(person)
    session.flush()
    assert person.id is not None
    address = f"{first_name.lower()}@example.org" if email == "" else email
    if address:
        session.add(
            Address(medium="email", value=address, contact_id=person.id, key=address_key(SECRET, "email", address))
        )
    if says is not None:
        session.add(
            Consent(
                contact_id=person.id,
                medium="email",
                topic="newsletter",
                granted=says,
                basis="consent",
                source="the tests",
                at=now,
            )
        )
    session.flush()
    return person.id


def cast(store: Store, now: datetime) -> dict[str, int]:
    with store.write() as session:
        people = {
            "Alice": add(session, "Alice", now, country="IT", language="it"),
            "Bob": add(session, "Bob", now, says=False),
            "Carla": add(session, "Carla", now, says=None),
            "Dario": add(session, "Dario", now),
            "Elena": add(session, "Elena", now, email=None),
            "Franz": add(session, "Franz", now, erased_at=now),
        }
        session.add(
            Suppression(
                key=address_key(SECRET, "email", "dario@example.org"),
                medium="email",
                reason="hard bounce",
                source="the tests",
                at=now,
            )
        )
    return people


def crowd(store: Store, size: int, now: datetime, bad: int | None = None) -> list[str]:
    """So many readers; number `bad` has an address that the provider refuses. Returns the addresses."""
    with store.write() as session:
        rows = [{"first_name": f"Reader{n}", "created_at": now, "updated_at": now, "traits": {}} for n in range(size)]
        from sqlmodel import col

        ids = list(
            session.execute(insert(Contact).returning(col(Contact.id), sort_by_parameter_order=True), rows).scalars()
        )
        emails = [f"reader{n}@{'refused.example' if n == bad else 'example.org'}" for n in range(size)]
        session.execute(
            insert(Address),
            [
                {
                    "medium": "email",
                    "value": email,
                    "contact_id": id_,
                    "rank": 0,
                    "key": address_key(SECRET, "email", email),
                }
                for id_, email in zip(ids, emails, strict=True)
            ],
        )
        session.execute(
            insert(Consent),
            [
                {"contact_id": id_, "medium": "email", "topic": "newsletter", "granted": True, "basis": "consent",
                 "source": "the tests", "at": now, "proof": {}}
                for id_ in ids
            ],
        )  # fmt: skip
    return emails


def ref(name: str, launch: int = 1, locale: str = "en") -> LinkRef:
    """What a link of a message refers to."""
    message = MessageId.parse(name)
    assert message is not None
    return LinkRef(message, launch, locale)
