"""What became of a launch: counted, told for one contact, stopped and taken up again."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlmodel import Session, col

from passaparola.errors import NotAllowed, Unknown
from passaparola.outbox import posts
from passaparola.outbox.posts import Post
from passaparola.outbox.reasons import HoldReason
from passaparola.store import recalls
from passaparola.store.bulk import execute_update
from passaparola.store.database import Store, audit
from passaparola.store.models import Batch, Enrolment, Launch, Message, message_state, select_messages
from passaparola.store.states import FINAL_STATES, MessageState

UNFINISHED_STATES = ("prepared", "approved", "running", "paused")


@dataclass
class LaunchTally:
    """The ledger of one launch. For every addressed medium: audience = sent + held + failed + unknown + waiting."""

    launch: int
    campaign: str
    state: str
    note: str
    audience: int
    media: dict[str, dict[str, int]] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    delayed: dict[str, int] = field(default_factory=dict)  # why some go later than they were meant to
    begins: datetime | None = None  # nothing of it has been planned yet: when that is due
    paused: dict[str, str] = field(default_factory=dict)  # media whose channel must be mended first, and how

    def total(self, state: str) -> int:
        return sum(counts.get(state, 0) for counts in self.media.values())

    def as_json(self) -> dict[str, Any]:
        totals = {state.value: self.total(state) for state in FINAL_STATES}
        waiting = self.total(MessageState.QUEUED) + self.total(MessageState.SENDING)
        return {
            "launch": self.launch,
            "campaign": self.campaign,
            "state": self.state,
            "note": self.note,
            "audience": self.audience,
            **totals,
            "waiting": waiting,
            "media": self.media,
            "posts": [asdict(post) for post in self.posts],
            "reasons": self.reasons,
            "delayed": self.delayed,
            "paused": self.paused,
            "begins": self.begins.isoformat() if self.begins else None,
        }


def tally_launch(session: Session, launch_id: int) -> LaunchTally:
    """Tally a launch. Raises Unknown."""
    launch = get_launch(session, launch_id)
    mine = col(Enrolment.launch_id) == launch_id
    addressed = col(Enrolment.contact_id).is_not(None)
    audience = session.execute(select(func.count()).where(mine, addressed)).scalar_one()
    tally = LaunchTally(launch_id, launch.campaign, launch.state, launch.note, audience)
    state = message_state().label("state")
    counted = (
        select_messages(col(Message.medium), state, col(Message.reason), func.count())
        .where(mine, addressed)
        .group_by(col(Message.medium), state, col(Message.reason))
    )
    for medium, at, reason, count in session.execute(counted):
        counts = tally.media.setdefault(medium, {})
        counts[at] = counts.get(at, 0) + count
        if reason:
            tally.reasons[f"{at}: {reason}"] = tally.reasons.get(f"{at}: {reason}", 0) + count
    late = select(col(Batch.delayed), func.sum(col(Batch.size))).where(
        col(Batch.launch_id) == launch_id, col(Batch.state) == MessageState.QUEUED, col(Batch.delayed) != ""
    )
    tally.delayed = {why: int(count) for why, count in session.execute(late.group_by(col(Batch.delayed)))}
    tally.paused = posts.paused_media(session, launch)
    tally.posts = posts.launch_posts(session, launch, tally.paused)
    if not tally.media and not tally.posts and launch.state in UNFINISHED_STATES and not launch.accepting:
        tally.begins = launch.due_at
    return tally


def latest_launch(session: Session, campaign: str) -> int:
    """Return the newest launch of a campaign that has let anyone in; else its newest. Raises Unknown."""
    mine = select(col(Launch.id)).where(col(Launch.campaign) == campaign).order_by(col(Launch.id).desc()).limit(1)
    inside = select(col(Enrolment.id)).where(col(Enrolment.launch_id) == col(Launch.id)).exists()
    newest: int | None = session.execute(mine.where(inside)).scalar() or session.execute(mine).scalar()
    if newest is None:
        raise Unknown(f"“{campaign}” has not been launched yet.")
    return newest


def get_launch(session: Session, launch_id: int) -> Launch:
    launch = session.get(Launch, launch_id)
    if launch is None:
        raise Unknown(f"There is no launch {launch_id}.")
    return launch


def pause_launch(store: Store, launch_id: int, *, actor: str, now: datetime) -> None:
    """Pause a launch: none of its batches is claimed any more; calls under way end."""
    _change_state(store, launch_id, ("running",), "paused", actor, now, f"paused by {actor}")


def resume_launch(store: Store, launch_id: int, *, actor: str, now: datetime) -> None:
    _change_state(store, launch_id, ("paused",), "running", actor, now, "")


def recall_launch(store: Store, launch_id: int, *, actor: str, now: datetime) -> None:
    """Recall a launch: what has not left is held for good."""
    allowed = ("prepared", "approved", "running", "paused")
    _change_state(store, launch_id, allowed, "recalled", actor, now, f"recalled by {actor}")
    hold_recalled_messages(store)


def hold_recalled_messages(store: Store) -> None:
    """Hold whatever is still queued in recalled launches, also what came back into the queue after the recall.

    The batches are taken first and their messages by them: a batch that a worker has just reserved is not ours.
    """
    recalled = select(col(Launch.id)).where(col(Launch.state) == "recalled")
    queued = (col(Batch.state) == MessageState.QUEUED, col(Batch.launch_id).in_(recalled))
    with store.read() as session:
        if session.execute(select(col(Batch.id)).where(*queued).limit(1)).scalar() is None:
            return
    options = {"synchronize_session": False}
    with store.write() as session:
        taken = update(Batch).where(*queued).values(state=MessageState.RECALLED).returning(col(Batch.id))
        ids = list(session.execute(taken, execution_options=options).scalars())
        still_queued = (col(Message.batch_id).in_(ids), col(Message.state).is_(None))
        held = {"state": MessageState.HELD, "reason": HoldReason.RECALLED.text()}
        execute_update(session, update(Message).where(*still_queued).values(**held))


def _change_state(
    store: Store, launch_id: int, allowed: Iterable[str], state: str, actor: str, now: datetime, note: str
) -> None:
    with store.write() as session:
        get_launch(session, launch_id)
        change = update(Launch).where(col(Launch.id) == launch_id, col(Launch.state).in_(list(allowed)))
        changed = session.execute(
            change.values(state=state, note=note).returning(col(Launch.id)),
            execution_options={"synchronize_session": False},
        )
        if changed.scalar() is None:
            at = session.execute(select(col(Launch.state)).where(col(Launch.id) == launch_id)).scalar_one()
            raise NotAllowed(f"Launch {launch_id} is {at}; only {' or '.join(allowed)} ones can be {state}.")
        if state == recalls.RECALLED:
            launch = session.get(Launch, launch_id, populate_existing=True)
            assert launch is not None
            recalls.recall(session, launch, note, now)
        audit(session, now, actor, state, f"launch:{launch_id}")
