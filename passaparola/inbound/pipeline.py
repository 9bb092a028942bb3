"""The inbound pipeline: stored bodies are parsed, identified, recorded and reacted to, some bodies a transaction.

Applied twice, late or in any order, they end the same. An event is known by its source's id of it; a refund that comes
before its order waits for it. Opt-outs, complaints and hard bounces go first, in a lane of their own.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select, text, update
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlmodel import Session, col

from passaparola.inbound import link_events
from passaparola.inbound.identify import ORDER_WAIT, Resolution, identify_events
from passaparola.inbound.parse import TIMED_OUT, IncomingEvent, ParsedBody, parse_body
from passaparola.inbound.react import react, react_to_strangers
from passaparola.inbound.record import IdentifiedEvent, record
from passaparola.settings import Settings
from passaparola.store.bulk import execute_update, relaxed_gc
from passaparola.store.database import Store
from passaparola.store.models import RawBody

BATCH_BODIES = 500
# some five thousand events, half a second: so that a transaction is short, and the urgent lane is looked at again soon
BATCH_BYTES = 2_000_000
MAX_CLASHES = 5  # how often the same clash is met again before one body is to blame
APPLY_LOCK_ID = 20260419

Clock = Callable[[], datetime]


def apply_inbound(store: Store, settings: Settings, now: datetime) -> Counter[str]:
    """Apply all that had come in when the run began. Return the number of new events by kind."""
    began = time.monotonic()

    def clock() -> datetime:
        # An event is stamped when it is recorded, and not when a long backlog was begun: journeys listen by that.
        return now + timedelta(seconds=time.monotonic() - began)

    with relaxed_gc():
        kinds = link_events.apply_link_events(store, settings, clock)
        return kinds + _apply_bodies(store, settings, clock)


def _apply_bodies(store: Store, settings: Settings, clock: Clock) -> Counter[str]:
    kinds: Counter[str] = Counter()
    with store.read() as session:
        last = session.execute(select(func.max(col(RawBody.id))).where(col(RawBody.state) == "new")).scalar()
    while last is not None:
        kinds += _apply_urgent(store, settings, clock)
        new = _apply_some(store, settings, clock, last, urgent=False)
        if new is None:
            break
        kinds += new
    return kinds


def _apply_urgent(store: Store, settings: Settings, clock: Clock) -> Counter[str]:
    """Apply the opt-outs, complaints and hard bounces of every body that may hold one; the rest waits its turn."""
    kinds: Counter[str] = Counter()
    while (new := _apply_some(store, settings, clock, None, urgent=True)) is not None:
        kinds += new
    return kinds


def _apply_some(
    store: Store, settings: Settings, clock: Clock, last: int | None, *, urgent: bool
) -> Counter[str] | None:
    """Apply one transaction's worth of bodies, again after a clash. Return None when nothing is left."""
    most, clashes = BATCH_BODIES, 0
    while True:
        try:
            return _apply_batch(store, settings, clock(), most, last, urgent)
        except (OperationalError, InterfaceError):
            raise  # the database is busy or away, which is no body's fault
        except IntegrityError as error:
            clashes += 1  # an import made the same contact at the same moment: look again
            if clashes > MAX_CLASHES:
                most = _isolate(store, clock(), most, last, urgent, error)
        except Exception as error:
            most = _isolate(store, clock(), most, last, urgent, error)


def _isolate(store: Store, now: datetime, most: int, last: int | None, urgent: bool, error: Exception) -> int:
    """Set aside the failing body once bodies are applied one by one. Return that batch size."""
    if most == 1:
        with store.write() as session:
            if row := session.execute(_waiting(last, urgent).limit(1)).scalar():
                row.state, row.problem, row.applied_at = "invalid", f"could not be kept ({type(error).__name__})", now
                row.urgent = False
    return 1


def _waiting(last: int | None, urgent: bool) -> Select[RawBody]:
    new = select(RawBody).where(col(RawBody.state) == "new").order_by(col(RawBody.id))
    return new.where(col(RawBody.urgent)) if urgent else new.where(col(RawBody.id) <= last)


def _apply_batch(
    store: Store, settings: Settings, now: datetime, most: int, last: int | None, urgent: bool
) -> Counter[str] | None:
    with store.read() as session:
        ids = _pick_bodies(session, most, last, urgent)
        bodies = session.execute(_bodies(ids)).scalars().all()
    if not ids:
        return None
    # Parsed before anything is locked: what a stranger wrote may take its parser long, and nobody waits for it.
    parsed = [parse_body(row, settings.secret) for row in bodies]
    with store.write() as session:
        if not store.on_sqlite:  # two appliers must not make one contact twice
            session.execute(text(f"SELECT pg_advisory_xact_lock({APPLY_LOCK_ID})"))
        still = _bodies(ids).where(col(RawBody.state) == "new", *((col(RawBody.urgent),) if urgent else ()))
        rows = {row.id: row for row in session.execute(still.with_for_update()).scalars()}
        mine = [body for body in parsed if body.id in rows]
        kinds, forgotten = _apply_parsed(session, settings, rows, mine, urgent, now)
    if forgotten:
        store.truncate_wal()
    return kinds


def _pick_bodies(session: Session, most: int, last: int | None, urgent: bool) -> list[int]:
    """Return the ids of the next bodies, as many as one transaction takes."""
    ids: list[int] = []
    held = 0
    sized = _waiting(last, urgent).with_only_columns(col(RawBody.id), func.length(col(RawBody.body))).limit(most)
    for id_, size in session.execute(sized):
        if ids and held + size > BATCH_BYTES:
            break
        ids.append(id_)
        held += size
    return ids


def _bodies(ids: list[int]) -> Select[RawBody]:
    return select(RawBody).where(col(RawBody.id).in_(ids)).order_by(col(RawBody.id))


def _apply_parsed(
    session: Session,
    settings: Settings,
    rows: dict[int | None, RawBody],
    parsed: Sequence[ParsedBody],
    urgent: bool,
    now: datetime,
) -> tuple[Counter[str], bool]:
    """Identify, record and react to events. Return the new ones' kinds, and whether any was of a forgotten contact."""
    events = [incoming for body in parsed for incoming in body.events if incoming.event.is_urgent or not urgent]
    resolutions = identify_events(session, settings, events, now)
    pairs = list(zip(events, resolutions, strict=True))
    identified = [
        IdentifiedEvent(incoming, resolution) for incoming, resolution in pairs if resolution.contact is not None
    ]
    recorded = record(session, identified, now)
    react(session, settings, recorded, identified, now)
    react_to_strangers(session, [pair for pair in pairs if pair[1].status == "stranger"], now)
    for body in parsed:
        _finish(rows[body.id], body, urgent, now)
    for incoming, resolution in pairs:
        _finish_unresolved(rows[incoming.body_id], incoming, resolution, now)
    if recorded:
        _wake_waiting(session, {incoming.source for incoming in events})
    return Counter(fact.row.kind for fact in recorded), any(
        resolution.status == "forgotten" for resolution in resolutions
    )


def _finish(row: RawBody, body: ParsedBody, urgent: bool, now: datetime) -> None:
    row.urgent = False
    if urgent:
        if body.timed_out:  # it is not read a second time
            row.state, row.problem, row.applied_at = "invalid", TIMED_OUT, now
        return
    row.state, row.problem, row.applied_at = body.state, "; ".join(body.problems)[:1000], now


def _finish_unresolved(row: RawBody, incoming: IncomingEvent, resolution: Resolution, now: datetime) -> None:
    if resolution.status == "forgotten":  # nor is the body kept that tells of them
        row.body, row.headers = b"", {}
    elif resolution.status == "waiting":
        late = incoming.received_at + ORDER_WAIT < now
        row.state, row.problem = "invalid" if late else "waiting", f"waits for {incoming.event.related_event}"


def _wake_waiting(session: Session, sources: Iterable[str]) -> None:
    """Look again, in the next round, at bodies that wait for an order: it may have come."""
    session.flush()
    waiting = update(RawBody).where(col(RawBody.state) == "waiting", col(RawBody.source).in_(set(sources)))
    execute_update(session, waiting.values(state="new"))
