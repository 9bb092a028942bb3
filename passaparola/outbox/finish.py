"""End launches that have nothing left to send, and find when the next batch is due."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select, update
from sqlmodel import col

from passaparola.outbox.claim import unpaused_channels
from passaparola.outbox.ledger import hold_recalled_messages
from passaparola.store import incidents
from passaparola.store.bulk import execute_update
from passaparola.store.database import Store
from passaparola.store.models import Batch, Enrolment, Launch
from passaparola.store.states import MessageState

ANALYSE_FROM_MESSAGES = 1_000  # people of a finished launch, after whom the database plans anew


def next_due(store: Store, launch: int | None, now: datetime, busy: Collection[str]) -> datetime | None:
    with store.read() as session:
        rests = incidents.active_backoffs(session, now)

        def due(silent: Collection[str]) -> datetime | None:
            chosen = (
                select(func.min(col(Batch.due_at)))
                .join(Launch, col(Launch.id) == col(Batch.launch_id))
                .where(
                    col(Batch.state) == MessageState.QUEUED,
                    col(Launch.state) == "running",
                    *unpaused_channels(session, silent),
                )
            )
            return session.execute(chosen.where(col(Batch.launch_id) == launch) if launch else chosen).scalar()

        instants = [due({*rests, *busy})]
        if rests and (at := due(busy)):  # what waits for one that is left alone is due when it may be called again
            instants.append(max(at, min(rests.values())))
        return min((at for at in instants if at), default=None)


def finish_launches(store: Store, now: datetime) -> None:
    """Finish running launches in which nobody is under way and nothing is open; what is unknown may still be
    resolved."""
    hold_recalled_messages(store)
    open_ = select(col(Batch.id)).where(
        col(Batch.launch_id) == col(Launch.id), col(Batch.state).in_([MessageState.QUEUED, MessageState.SENDING])
    )
    inside = select(col(Enrolment.id)).where(
        col(Enrolment.launch_id) == col(Launch.id), col(Enrolment.outcome).is_(None)
    )
    over = (col(Launch.state) == "running", ~col(Launch.accepting), ~open_.exists(), ~inside.exists())
    with store.read() as session:
        done = select(col(Launch.id)).where(*over)
        if not (ids := list(session.execute(done).scalars())):
            return
    with store.write() as session:
        change = update(Launch).where(col(Launch.id).in_(ids), *over)
        execute_update(session, change.values(state="finished", finished_at=now))
        large = (
            session.execute(select(func.count()).where(col(Enrolment.launch_id).in_(ids))).scalar_one()
            >= ANALYSE_FROM_MESSAGES
        )
    if large:
        store.analyse()
