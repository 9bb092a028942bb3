"""The cast: named contacts for tests of campaigns, each different in what a campaign asks about."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from passaparola.contacts import activity
from passaparola.contacts.addresses import address_key
from passaparola.store.database import Store
from passaparola.store.models import Address, Consent, Contact, Event


@dataclass(frozen=True)
class Member:
    """One of the cast. `bought_days_ago`: when their only order was; None: they never ordered."""

    name: str
    email: str
    language: str | None = None
    country: str | None = None
    time_zone: str | None = None
    consents: bool = True
    bought_days_ago: int | None = None


CAST = (
    Member("Anna", "anna@example.org", "it", "IT", "Europe/Rome", bought_days_ago=150),
    Member("Ben", "ben@example.org", "en", "IE", "Europe/Dublin"),
    Member("Zoë", "zoe@example.org", "en", "NZ", "Pacific/Auckland", bought_days_ago=30),
    Member("Carla", "carla@example.org", country="IT", consents=False),
)


def add_cast(store: Store, secret: str, now: datetime) -> dict[str, int]:
    """Add the cast to a store. Return the contacts' ids by name."""
    contacts: dict[str, int] = {}
    with store.write() as session:
        for member in CAST:
            contact = Contact(
                first_name=member.name,
                language=member.language,
                country=member.country,
                time_zone=member.time_zone,
                traits={},
                created_at=now,
                updated_at=now,
            )
            session.add(contact)
            session.flush()
            assert contact.id is not None
            contacts[member.name] = contact.id
            key = address_key(secret, "email", member.email)
            session.add(Address(medium="email", value=member.email, contact_id=contact.id, key=key))
            session.add_all(_consents(member, contact.id, now))
            if member.bought_days_ago is not None:
                session.add(_order(member, contact.id, now - timedelta(days=member.bought_days_ago)))
        session.flush()
        activity.refresh(session, "EUR")
    return contacts


def _consents(member: Member, contact: int, now: datetime) -> list[Consent]:
    at = now - timedelta(days=200)
    return [
        Consent(
            contact_id=contact, medium="email", topic=topic, granted=True, basis="consent", source="the cast", at=at
        )
        for topic in ("newsletter", "after_sales")
        if member.consents
    ]


def _order(member: Member, contact: int, at: datetime) -> Event:
    return Event(
        contact_id=contact,
        kind="order_completed",
        at=at,
        received_at=at,
        source="the cast",
        source_id=member.name,
        amount=2900,
        currency="EUR",
        properties={"order_id": f"old-{member.name}"},
    )
