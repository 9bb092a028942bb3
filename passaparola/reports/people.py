"""Who our people are: where they stand, how they take part, and whether we know them online, offline or both."""

from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Integer, and_, case, cast, exists, func, literal, or_, select
from sqlmodel import Session, col

from passaparola.contacts.audience.compile import latest_consent
from passaparola.store.models import Activity, Address, Contact, Event

OFFLINE_SOURCES = ("till", "pos", "store")


@dataclass
class LifecycleCounts:
    """How many people are at which stage. Participation is measured against the rule of thumb 90-9-1."""

    people: int = 0
    lifecycle: dict[str, int] = field(default_factory=dict)
    participation: dict[str, int] = field(default_factory=dict)

    def shares(self) -> dict[str, float]:
        return {name: count / self.people for name, count in self.participation.items() if self.people}

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "shares": self.shares(),
            "rule_of_thumb": {"reader": 0.9, "contributor": 0.09, "creator": 0.01},
        }


@dataclass
class CounterSide:
    """One side of the counter: how many, how many of them may be written to, what they spent (minor units)."""

    people: int = 0
    consenting: int = 0
    spent: int = 0

    def as_json(self) -> dict[str, Any]:
        people = self.people or 1
        return asdict(self) | {"coverage": round(self.consenting / people, 4), "value": round(self.spent / people)}


def count_lifecycles(session: Session) -> LifecycleCounts:
    alive = (col(Contact.erased_at).is_(None), col(Contact.merged_into).is_(None))
    lifecycle, participation = (
        func.coalesce(col(Contact.lifecycle), "lead"),
        func.coalesce(col(Contact.participation), "reader"),
    )
    counts = LifecycleCounts()
    for stands, takes_part, count in session.execute(
        select(lifecycle, participation, func.count()).where(*alive).group_by(lifecycle, participation)
    ):
        counts.people += count
        counts.lifecycle[stands] = counts.lifecycle.get(stands, 0) + count
        counts.participation[takes_part] = counts.participation.get(takes_part, 0) + count
    return counts


def _is_known_offline() -> Any:
    """Build the condition that a contact is known at a till or in a store."""
    return or_(
        exists(
            select(1)
            .where(col(Address.contact_id) == col(Contact.id), col(Address.medium) == "till")
            .correlate(Contact)
        ),
        exists(
            select(1)
            .where(col(Activity.contact_id) == col(Contact.id), col(Activity.kind) == "store_visited")
            .correlate(Contact)
        ),
        exists(
            select(1)
            .where(col(Event.contact_id) == col(Contact.id), col(Event.source).in_(OFFLINE_SOURCES))
            .correlate(Contact)
        ),
    )


def compare_online_offline(session: Session, topic: str = "newsletter") -> dict[str, CounterSide]:
    """Count people known both ways, only online, only offline, or neither: by till numbers and visits on one side,
    addresses and clicks on the other."""
    offline = _is_known_offline()
    online = exists(
        select(1)
        .where(col(Address.contact_id) == col(Contact.id), col(Address.medium).not_in(["till", "phone"]))
        .correlate(Contact)
    )
    side = case(
        (and_(offline, online), literal("both")),
        (online, literal("only online")),
        (offline, literal("only offline")),
        else_=literal("neither"),
    ).label("side")
    says_yes = cast(func.coalesce(latest_consent(col(Contact.id), "email", literal(topic)), False), Integer).label(
        "says_yes"
    )
    spent = (
        (
            select(col(Activity.total)).where(
                col(Activity.contact_id) == col(Contact.id), col(Activity.kind) == "order_completed"
            )
        )
        .correlate(Contact)
        .scalar_subquery()
        .label("spent")
    )
    alive = (col(Contact.erased_at).is_(None), col(Contact.merged_into).is_(None))
    each = select(side, says_yes, spent).where(*alive).subquery()
    rows = select(each.c.side, func.count(), func.sum(each.c.says_yes), func.coalesce(func.sum(each.c.spent), 0))
    sides = {name: CounterSide() for name in ("both", "only online", "only offline", "neither")}
    for name, people, consenting, total in session.execute(rows.group_by(each.c.side)):
        sides[name] = CounterSide(people, int(consenting or 0), int(total))
    return sides
