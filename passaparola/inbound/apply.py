"""What came in becomes contacts, events, consents and conversations: some bodies a transaction, each told once however often
it came.

Twice, late and in any order: the same end. An event is known by its source's name of it; a refund that comes before its
order waits for it. A no, a complaint and a hard bounce have a lane of their own and go first.
"""

import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlmodel import Session, col

from passaparola.channel.receiver import ParseResult
from passaparola.contacts import activity, consent, events
from passaparola.inbound import conversing, feedback, parse
from passaparola.inbound.identify import Told, Whose
from passaparola.settings import Settings
from passaparola.store.bulk import relaxed_gc
from passaparola.store.database import Store
from passaparola.store.models import RawBody

AT_ONCE = 500
BYTES_AT_ONCE = 2_000_000  # some five thousand events, half a second: so that a transaction is short, and the urgent lane is looked at again soon
PATIENT = 5  # how often the same clash is met again before one body is to blame
LOCK = 20260419
QUIETLY: dict[str, Any] = {"synchronize_session": False}


def apply(store: Store, settings: Settings, now: datetime) -> Counter[str]:
    """All that had come when it began. Returns the kinds of event that were told, and how often."""
    told: Counter[str] = Counter()
    with store.read() as session:
        last = session.execute(select(func.max(col(RawBody.id))).where(col(RawBody.state) == "new")).scalar()
    began = time.monotonic()

    def at() -> datetime:
        # An event is stamped when it is told, and not when a long backlog was begun: journeys listen by that.
        return now + timedelta(seconds=time.monotonic() - began)

    with relaxed_gc():
        while last is not None:
            told += _urgent(store, settings, at)
            new = _patiently(store, settings, at, last, urgent=False)
            if new is None:
                return told
            told += new
    return told


def _urgent(store: Store, settings: Settings, at: Any) -> Counter[str]:
    """Of every body that may hold one: the noes, complaints and hard bounces, and nothing else. The rest waits its turn."""
    told: Counter[str] = Counter()
    while (new := _patiently(store, settings, at, None, urgent=True)) is not None:
        told += new
    return told


def _patiently(store: Store, settings: Settings, at: Any, last: int | None, *, urgent: bool) -> Counter[str] | None:
    """One transaction's worth, whatever clashes; None when there is nothing left."""
    most, again = AT_ONCE, 0
    while True:
        try:
            return _some(store, settings, at(), most, last, urgent)
        except (OperationalError, InterfaceError):
            raise  # the database is busy or away, which is no body's fault
        except IntegrityError as error:
            again += 1  # an import made the same person at the same moment: look again
            if again > PATIENT:
                most = _alone(store, at(), most, last, urgent, error)
        except Exception as error:
            most = _alone(store, at(), most, last, urgent, error)


def _alone(store: Store, now: datetime, most: int, last: int | None, urgent: bool, error: Exception) -> int:
    """One body that can't be kept is found, one by one, and set aside; the others go on."""
    if most == 1:
        with store.write() as session:
            if row := session.execute(_waiting(last, urgent).limit(1)).scalar():
                row.state, row.problem, row.applied_at = "invalid", f"could not be kept ({type(error).__name__})", now
                row.urgent = False
    return 1


def _waiting(last: int | None, urgent: bool) -> Any:
    if urgent:
        return select(RawBody).where(col(RawBody.urgent), col(RawBody.state) == "new").order_by(col(RawBody.id))
    return select(RawBody).where(col(RawBody.state) == "new", col(RawBody.id) <= last).order_by(col(RawBody.id))


def _some(
    store: Store, settings: Settings, now: datetime, most: int, last: int | None, urgent: bool
) -> Counter[str] | None:
    with store.read() as session:
        if session.execute(_waiting(last, urgent).limit(1)).scalar() is None:
            return None
        ids: list[int] = []
        held = 0
        sized = _waiting(last, urgent).with_only_columns(col(RawBody.id), func.length(col(RawBody.body))).limit(most)
        for id_, size in session.execute(sized):
            if ids and held + size > BYTES_AT_ONCE:
                break
            ids.append(id_)
            held += size
        bodies = session.execute(_of(RawBody, ids)).scalars().all()
    # Read before anything is locked: what a stranger wrote may take its reader long, and nobody waits for it.
    heard = {row.id: parse.read(row) for row in bodies if row.id is not None}
    with store.write() as session:
        if not store.on_sqlite:  # two appliers must not make one person twice
            session.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        still = _of(RawBody, ids).where(col(RawBody.state) == "new", *((col(RawBody.urgent),) if urgent else ()))
        application = _Application(session, settings, now, urgent, heard)
        told = application.apply(list(session.execute(still.with_for_update()).scalars()))
    if application.whose.forgot:
        store.truncate_wal()
    return told


def _of(table: type[RawBody], ids: list[int]) -> Any:
    return select(table).where(col(table.id).in_(ids)).order_by(col(table.id))


class _Application:
    """Some bodies that were read, in one transaction."""

    def __init__(
        self, session: Session, settings: Settings, now: datetime, urgent: bool, heard: Mapping[int, ParseResult]
    ) -> None:
        self.session, self.settings, self.now, self.urgent, self.heard = session, settings, now, urgent, heard
        self.whose = Whose(session, settings, now)

    def apply(self, rows: list[RawBody]) -> Counter[str]:
        told: list[Told] = []
        for row in rows:
            told += self._heard(row)
        self.whose.find(told)
        new, rows_new = self._kept([one for one in told if one.contact is not None])
        judged = feedback.act(self.session, self.settings, new, self.now)
        feedback.of_strangers(
            self.session, [one for one in told if one.contact is None and not one.forgotten], self.now
        )
        conversing.hear(self.session, self.settings, new, self.now)
        for one in told:
            if one.contact is not None:
                self._allowed(one)
        if new:
            activity.add_events(self.session, self.settings.currency, rows_new, judged)
            self._those_who_waited({one.row.source for one in told})
        return Counter(one.said.kind for one in new)

    def _heard(self, row: RawBody) -> list[Told]:
        """With every address in our own form; what was not understood is written to the row."""
        heard = self.heard[row.id or 0]
        if self.urgent:
            row.urgent = False
            if parse.TOO_LONG in heard.problems:  # it is not read a second time
                row.state, row.problem, row.applied_at = "invalid", parse.TOO_LONG, self.now
            return [one for said in heard.events if said.is_urgent for one in [self.whose.told(row, said)]]
        problems, told = list(heard.problems), []
        for said in heard.events:
            one = self.whose.told(row, said)
            problems += one.wrong
            if one.addresses or said.related_event or said.message:
                told.append(one)
            elif not one.wrong or not said.is_feedback:
                problems.append(f"{said.kind}: it does not say whose it is")
        row.state = "invalid" if problems else "applied" if told else "ignored"
        row.problem, row.applied_at, row.urgent = "; ".join(problems)[:1000], self.now, False
        return told

    def _kept(self, told: list[Told]) -> tuple[list[Told], list[dict[str, Any]]]:
        """Those that are new, each with the number of its event; and their rows."""
        by_name: dict[tuple[str, str], Told] = {}
        for one in told:
            by_name.setdefault((one.row.source, one.said.id[:250]), one)
        rows = events.record_events(self.session, (one.event(self.now) for one in by_name.values()))
        new = [by_name[row["source"], row["source_id"]] for row in rows]
        for one, row in zip(new, rows, strict=True):
            one.event_id = row["id"]
        return new, rows

    def _allowed(self, one: Told) -> None:
        """An answer is an answer; a paid order is a basis only where the operator says that buyers are told so."""
        said, contact = one.said, one.contact
        assert contact is not None
        # Only at a checkout is it an answer; later deliveries of the same order merely repeat it.
        if said.accepts_marketing and said.kind == "order_completed" and "email" in one.addresses:
            proof = {"source": one.row.source, "delivery": one.row.key, "asked": "at the checkout"}
            at = min(said.accepts_marketing_at or said.at, self.now)
            consent.record_reported(
                self.session, contact, "newsletter", True, at=at, source=f"{one.row.source} checkout", proof=proof
            )
        if said.kind == "order_completed" and "email" in one.addresses:
            for topic in self.settings.soft_opt_in_topics:
                order = str(said.properties.get("order_id", said.id))
                consent.record_soft_opt_in(
                    self.session, contact, topic,
                    agrees=said.accepts_marketing, at=min(said.at, self.now), source=f"bought at {one.row.source}", order=order,
                )  # fmt: skip

    def _those_who_waited(self, sources: set[str]) -> None:
        """Their orders may have come: they are looked at again in the next round."""
        self.session.flush()
        waiting = update(RawBody).where(col(RawBody.state) == "waiting", col(RawBody.source).in_(sources))
        self.session.execute(waiting.values(state="new"), execution_options=QUIETLY)
