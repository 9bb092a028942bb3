"""What came in becomes contacts, events and consents: a few hundred bodies a transaction, each told once however often it came.

Twice, late and in any order: the same end. An event is known by its source's name of it; a refund that comes before its
order waits for it.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlmodel import Session, col

import channels
from channels.base import Happening, Heard
from contacts import activity, consent
from contacts.audience.words import TRAITS, is_medium
from contacts.identity import address_key, normalised
from contacts.mapping import country_code, language_code, time_zone
from contacts.models import Address, Contact, Event, Intake
from contacts.store import Store, insert_new
from settings import Settings

AT_ONCE = 200
PATIENT = 5  # how often the same clash is met again before one body is to blame
LOCK = 20260419
PATIENCE = timedelta(days=30)  # for the order of a refund that came first
QUIETLY: dict[str, Any] = {"synchronize_session": False}
READ: dict[str, Callable[[str], str]] = {"country": country_code, "language": language_code, "time_zone": time_zone}


def apply(store: Store, settings: Settings, now: datetime) -> Counter[str]:
    """All that had come when it began. Returns the kinds of event that were told, and how often."""
    told: Counter[str] = Counter()
    with store.read() as session:
        last = session.execute(select(func.max(col(Intake.id))).where(col(Intake.state) == "new")).scalar()
    most, again, began = AT_ONCE, 0, time.monotonic()
    while last is not None:
        # An event is stamped when it is told, and not when a long backlog was begun: journeys listen by that.
        at = now + timedelta(seconds=time.monotonic() - began)
        try:
            new = _some(store, settings, at, most, last)
        except (OperationalError, InterfaceError):
            raise  # the database is busy or away, which is no body's fault
        except IntegrityError as error:
            again += 1  # an import made the same person at the same moment: look again
            if again > PATIENT:
                most = _alone(store, at, most, last, error)
        except Exception as error:
            most = _alone(store, at, most, last, error)
        else:
            if new is None:
                break
            told += new
    return told


def _alone(store: Store, now: datetime, most: int, last: int, error: Exception) -> int:
    """One body that can't be kept is found, one by one, and set aside; the others go on."""
    if most == 1:
        with store.write() as session:
            if row := session.execute(_new(last).limit(1)).scalar():
                row.state, row.problem, row.applied_at = "odd", f"could not be kept ({type(error).__name__})", now
    return 1


def _new(last: int) -> Any:
    return select(Intake).where(col(Intake.state) == "new", col(Intake.id) <= last).order_by(col(Intake.id))


def _some(store: Store, settings: Settings, now: datetime, most: int, last: int) -> Counter[str] | None:
    with store.read() as session:
        if session.execute(_new(last).limit(1)).scalar() is None:
            return None
    with store.write() as session:
        if not store.on_sqlite:  # two appliers must not make one person twice
            session.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        return _Application(session, settings, now).apply(list(session.execute(_new(last).limit(most)).scalars()))


@dataclass
class _Told:
    row: Intake
    said: Happening
    addresses: dict[str, str]
    contact: int | None = None


class _Application:
    """Some bodies, in one transaction."""

    def __init__(self, session: Session, settings: Settings, now: datetime) -> None:
        self.session, self.settings, self.now = session, settings, now

    def apply(self, rows: list[Intake]) -> Counter[str]:
        told: list[_Told] = []
        for row in rows:
            told += self._heard(row)
        self._whose(told)
        kinds = self._events([one for one in told if one.contact is not None])
        if kinds:
            self._those_who_waited({one.row.source for one in told})
        return kinds

    def _heard(self, row: Intake) -> list[_Told]:
        """Understood, with every address in our own form; what was not is written to the row."""
        try:
            heard = channels.ear(row.source)().hear(row.headers, bytes(row.body))
        except Exception as error:  # whatever a stranger's body does to its reader, it is that body's alone
            heard = Heard(
                problems=[str(error) if type(error) is ValueError else f"not understood ({type(error).__name__})"]
            )
        problems, told = list(heard.problems), []
        for said in heard.happenings:
            addresses, wrong = self._normalised(said)
            problems += wrong
            if addresses or said.about:
                told.append(_Told(row, said, addresses))
            else:
                problems.append(f"{said.kind}: it does not say whose it is")
        row.state = "odd" if problems else "applied" if told else "ignored"
        row.problem, row.applied_at = "; ".join(problems)[:1000], self.now
        return told

    def _normalised(self, said: Happening) -> tuple[dict[str, str], list[str]]:
        found, wrong = {}, []
        for medium, value in said.addresses.items():
            try:
                if not is_medium(medium):
                    raise ValueError(f"“{medium[:20]}” is not a medium")
                found[medium] = normalised(medium, value, said.traits.get("country") or "IT")
            except ValueError as error:
                wrong.append(str(error))
        return found, wrong

    def _whose(self, told: list[_Told]) -> None:
        """By any of their addresses; else by the order it is about; else someone new."""
        owners = self._owners({pair for one in told for pair in one.addresses.items()})
        for one in told:
            one.contact = next((owners[pair] for pair in one.addresses.items() if pair in owners), None)
            if one.contact is None and one.addresses:
                one.contact = self._someone_new(one)
            if one.contact is not None:
                self._reach(one, owners)
                self._know(one)
        for one in told:
            if one.contact is None:
                one.contact = self._of_the_order(one, told)
            if one.contact is None:
                late = one.row.received_at + PATIENCE < self.now
                one.row.state, one.row.problem = "odd" if late else "waiting", f"waits for {one.said.about}"

    def _owners(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        by_medium: dict[str, list[str]] = {}
        for medium, value in pairs:
            by_medium.setdefault(medium, []).append(value)
        for medium, values in by_medium.items():
            owned = select(col(Address.value), col(Address.contact_id)).where(
                col(Address.medium) == medium, col(Address.value).in_(values)
            )
            found |= {(medium, value): contact for value, contact in self.session.execute(owned)}
        return found

    def _someone_new(self, one: _Told) -> int:
        person = Contact(created_at=self.now, updated_at=self.now, traits={})
        self.session.add(person)
        self.session.flush()
        assert person.id is not None
        return person.id

    def _reach(self, one: _Told, owners: dict[tuple[str, str], int]) -> None:
        """An address that is somebody else's already stays theirs."""
        for medium, value in one.addresses.items():
            if (medium, value) in owners:
                continue
            assert one.contact is not None
            taken = select(col(Address.value)).where(
                col(Address.contact_id) == one.contact, col(Address.medium) == medium
            )
            rank = len(self.session.execute(taken).all())
            key = address_key(self.settings.secret, medium, value)
            self.session.add(Address(medium=medium, value=value, contact_id=one.contact, rank=rank, key=key))
            self.session.flush()
            owners[medium, value] = one.contact

    def _know(self, one: _Told) -> None:
        """A shop fills in what we do not know of a person; it does not overwrite what they told us."""
        person = self.session.get(Contact, one.contact)
        assert person is not None
        for name, value in one.said.traits.items():
            if name in TRAITS and getattr(person, name) is None and person.erased_at is None:
                try:
                    setattr(person, name, READ[name](value) if name in READ else value)
                    person.updated_at = self.now
                except ValueError:
                    continue  # a country nobody knows is no reason to lose an order

    def _of_the_order(self, one: _Told, told: list[_Told]) -> int | None:
        source = one.row.source
        here = (o.contact for o in told if o.row.source == source and o.said.id == one.said.about and o.contact)
        if (found := next(here, None)) is not None:
            return found
        known = select(col(Event.contact_id)).where(
            col(Event.source) == source,
            or_(col(Event.source_id) == one.said.about, col(Event.source_id) == one.said.about.partition(":")[2]),
        )
        contact: int | None = self.session.execute(known).scalar()
        return contact

    def _events(self, told: list[_Told]) -> Counter[str]:
        if not told:
            return Counter()
        rows = {
            (one.row.source, one.said.id[:250]): {
                "contact_id": one.contact, "kind": one.said.kind, "at": self._when(one.said.at), "received_at": self.now,
                "source": one.row.source, "source_id": one.said.id[:250], "amount": one.said.amount,
                "currency": one.said.currency, "properties": dict(one.said.properties),
            }
            for one in reversed(told)
        }  # fmt: skip
        kept = insert_new(self.session, Event).returning(col(Event.contact_id), col(Event.kind))
        new = list(self.session.execute(kept, list(rows.values())))
        if new:
            activity.refresh(self.session, self.settings.currency, {contact for contact, _ in new})
        for one in told:
            self._allowed(one)
        return Counter(kind for _, kind in new)

    def _when(self, at: datetime) -> datetime:
        """A sender's clock may run ahead; nothing has happened yet that is still to come."""
        return min(at, self.now)

    def _allowed(self, one: _Told) -> None:
        """An answer is an answer; a paid order is a basis only where the operator says that buyers are told so."""
        said, contact = one.said, one.contact
        assert contact is not None
        # Only at a checkout is it an answer; later deliveries of the same order merely repeat it.
        if said.agrees and said.kind == "order_completed" and "email" in one.addresses:
            proof = {"source": one.row.source, "delivery": one.row.key, "asked": "at the checkout"}
            consent.told(
                self.session, contact, "newsletter", True, at=self._when(said.agreed_at or said.at), source=f"{one.row.source} checkout", proof=proof
            )  # fmt: skip
        if said.kind == "order_completed" and "email" in one.addresses:
            for topic in self.settings.soft_opt_in_topics:
                order = str(said.properties.get("order_id", said.id))
                consent.soft_opt_in(
                    self.session, contact, topic,
                    agrees=said.agrees, at=self._when(said.at), source=f"bought at {one.row.source}", order=order,
                )  # fmt: skip

    def _those_who_waited(self, sources: set[str]) -> None:
        """Their orders may have come: they are looked at again in the next round."""
        self.session.flush()
        waiting = update(Intake).where(col(Intake.state) == "waiting", col(Intake.source).in_(sources))
        self.session.execute(waiting.values(state="new"), execution_options=QUIETLY)
