"""What happened to one contact's messages of one launch, as dated sentences."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlmodel import Session, col

from passaparola import clock
from passaparola.outbox.ledger import get_launch
from passaparola.store.models import Approval, Attempt, Batch, Enrolment, Launch, Message
from passaparola.store.states import MessageState

WAITING_SENTENCES = {
    "prepared": "the launch waits for its approval",
    "paused": "the launch is paused",
    "recalled": "the launch was recalled, nothing more of it is sent",
}


@dataclass(frozen=True)
class Story:
    """What happened to one contact's messages of one launch: a list of dated sentences."""

    launch: int
    sentences: list[tuple[datetime | None, str]]


def tell_story(session: Session, launch_id: int, contact_id: int, zone: str) -> Story:
    """Tell what happened to one contact in a launch. `zone` is the house's, for times inside a sentence."""
    launch = get_launch(session, launch_id)
    dated: list[tuple[datetime | None, str]] = []
    of_contact = (col(Enrolment.launch_id) == launch_id, col(Enrolment.contact_id) == contact_id)
    enrolments = list(session.execute(select(Enrolment).where(*of_contact).order_by(col(Enrolment.id))).scalars())
    query = launch.content["audience"]
    if not enrolments and query:
        return Story(launch_id, [(launch.created_at, "was not in the audience when the launch was prepared")])
    if not enrolments:
        on = launch.content["enter"]["on"]
        return Story(
            launch_id, [(launch.created_at, f"has not entered: no {on} since the launch, or not for the first time")]
        )
    for approval in session.execute(select(Approval).where(col(Approval.launch_id) == launch_id)).scalars():
        dated.append((approval.at, f"the launch was approved by {approval.approver}"))
    for enrolment in enrolments:
        dated += _enrolment_sentences(session, launch, enrolment, zone)
    if launch.state in WAITING_SENTENCES:
        dated.append((None, f"{WAITING_SENTENCES[launch.state]}{': ' if launch.note else ''}{launch.note}"))
    return Story(launch_id, dated)


def _enrolment_sentences(
    session: Session, launch: Launch, enrolment: Enrolment, zone: str
) -> list[tuple[datetime | None, str]]:
    content = launch.content
    entered_by = (
        f"was in the audience “{content['audience']}” and enrolled"
        if content["audience"]
        else f"entered on {content['enter']['on']}"
    )
    dated: list[tuple[datetime | None, str]] = [
        (enrolment.entered_at, entered_by + (f" {enrolment.key}" if content["enter"].get("key") else ""))
    ]
    if enrolment.holdout:
        dated.append((None, "is held out: walks along and is never written to"))
    messages = select(Message, Batch).outerjoin(Batch, col(Batch.id) == col(Message.batch_id))
    for message, batch in session.execute(
        messages.where(col(Message.enrolment_id) == enrolment.id).order_by(col(Message.step))
    ):
        dated += _message_sentences(session, message, batch, zone)
    if enrolment.outcome and (enrolment.outcome != "finished" or len(content["steps"]) > 1):
        dated.append((enrolment.ended_at, enrolment.outcome))
    elif enrolment.outcome is None:
        step = content["steps"][enrolment.step]
        next_ = f"say {step['say']}" if "say" in step else f"wait {step['wait']}" if "wait" in step else ""
        waits = f"waits for {enrolment.waiting}, until then at the latest" if enrolment.waiting else f"next: {next_}"
        dated.append((enrolment.due_at, waits))
    if enrolment.goal_at:
        dated.append((enrolment.goal_at, "reached the goal"))
    return dated


def _message_sentences(
    session: Session, message: Message, batch: Batch | None, zone: str
) -> list[tuple[datetime | None, str]]:
    state = message.state or (batch.state if batch else MessageState.QUEUED)
    dated: list[tuple[datetime | None, str]] = []
    if batch and state != MessageState.HELD:
        attempts = select(Attempt).where(col(Attempt.batch_id) == batch.id).order_by(col(Attempt.id))
        for attempt in session.execute(attempts).scalars():
            dated.append(
                (
                    attempt.started_at,
                    f"{message.medium}: attempt {attempt.id} by {attempt.channel}, with {attempt.size - 1} others",
                )
            )
            if attempt.outcome:
                detail = f": {attempt.detail}" if attempt.detail else ""
                dated.append(
                    (attempt.finished_at, f"{message.medium}: attempt {attempt.id} was {attempt.outcome}{detail}")
                )
    because = f" because: {message.reason}" if message.reason else ""
    if state == MessageState.QUEUED and batch and batch.delayed:
        because = f", to go at {clock.format_local(batch.due_at, zone)} ({batch.delayed})"
    dated.append((batch.finished_at if batch else None, f"{message.medium}: {state}{because}"))
    return dated
