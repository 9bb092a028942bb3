"""Answers to surveys. A tap in the email is an answer once it is certain that a person tapped: a scanner follows every
number at once, a person one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from passaparola.channel.message_ids import MessageId
from passaparola.channel.receiver import InboundText
from passaparola.contacts import activity, events
from passaparola.conversations import care, threads
from passaparola.conversations.threads import IncomingText
from passaparola.inbound import machines
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Event

SURE_AFTER = timedelta(seconds=15)  # longer than a scanner's burst
LOOKED_BACK = timedelta(minutes=10)  # by who asks every second; the clock of listening looks further
FAR_BACK = timedelta(days=2)
TAP = "tap"


def settle(store: Store, settings: Settings, now: datetime, back: timedelta = LOOKED_BACK) -> int:
    """Settle taps: those of people become answers, the latest of each message. Return how many."""
    with store.read() as session:
        if not _taps(session, now, back):
            return 0
    with store.write() as session:
        machines.judge_touches(session, {tap.enrolment_id for tap in _taps(session, now, back) if tap.enrolment_id})
        session.expire_all()
        last = {(tap.enrolment_id, tap.step, tap.medium): tap for tap in _taps(session, now, back)}
        return sum(
            record_answer(
                session, settings, SurveyAnswer(tap.contact_id, _message_of(tap), tap.properties, tap.at), now
            )
            for tap in last.values()
        )


def _taps(session: Session, now: datetime, back: timedelta) -> list[Event]:
    answered = select(col(Event.source_id)).where(col(Event.source) == "survey")
    taps = (
        select(Event)
        .where(
            col(Event.kind) == "clicked",
            col(Event.received_at) > now - back,
            col(Event.at) <= now - SURE_AFTER,
            col(Event.source) == TAP,
            ~col(Event.machine),
        )
        .order_by(col(Event.at), col(Event.id))
    )
    events = list(session.execute(taps).scalars())
    if not events:
        return []
    known = set(session.execute(answered.where(col(Event.source_id).in_([_name(tap) for tap in events]))).scalars())
    return [tap for tap in events if _name(tap) not in known]


def _name(tap: Event) -> str:
    return str(_message_of(tap))


def _message_of(tap: Event) -> MessageId:
    return MessageId(tap.enrolment_id or 0, tap.step or 0, tap.medium or "")


@dataclass(frozen=True)
class SurveyAnswer:
    """One contact's answer to the survey of one message: score, answer and comment among its properties."""

    contact: int
    message: MessageId
    properties: dict[str, Any]
    at: datetime

    @property
    def comment(self) -> str:
        return str(self.properties.get("comment", ""))

    def new_event(self, kind: str, source_id: str, properties: dict[str, Any], now: datetime) -> events.NewEvent:
        """Build an event of this answer."""
        id_ = self.message
        return events.NewEvent(
            self.contact,
            kind,
            self.at,
            now,
            "survey",
            source_id,
            properties=properties,
            enrolment_id=id_.enrolment,
            step=id_.step,
            medium=id_.medium,
        )


def record_answer(session: Session, settings: Settings, answer: SurveyAnswer, now: datetime) -> bool:
    """Record an answer, once per message; a low score opens a conversation. Return False for a mere repeat or
    correction.

    A second answer corrects the first; words that come with it are received.
    """
    name = str(answer.message)
    properties = {key: value for key, value in answer.properties.items() if key not in ("link", "machine")}
    new = events.record_events(session, [answer.new_event("survey_answered", name, properties, now)])
    id_ = new[0].id if new else _correct(session, settings, answer, properties, now)
    score = answer.properties.get("score") if id_ else None
    activity.refresh(session, settings.currency, [answer.contact])
    if id_ is not None and (score is not None or answer.comment):
        text = InboundText(answer.comment, external_id=f"survey:{name}")
        spoken = IncomingText(
            answer.contact,
            id_,
            answer.message.medium,
            "survey",
            answer.at,
            text,
            name,
            None if score is None else float(score),
        )
        threads.receive(session, settings, spoken, now)
    return id_ is not None


def _correct(
    session: Session, settings: Settings, answer: SurveyAnswer, properties: dict[str, Any], now: datetime
) -> int | None:
    """Correct the first answer. Return the event of what is new in it: words, or a score that has become low."""
    name = str(answer.message)
    first = session.execute(
        select(Event).where(col(Event.source) == "survey", col(Event.source_id) == name)
    ).scalar_one()
    before = first.properties
    if before.get("comment", "") == answer.comment and before.get("answer") == properties.get("answer"):
        return None
    low = care.current_policy(settings.home).scores.low
    sinks = float(properties.get("score", 10)) <= low < float(before.get("score", 10))
    first.properties = {**before, **properties}
    if not answer.comment and not sinks:
        return None
    words = {"campaign": properties.get("campaign")}
    new = events.record_events(
        session, [answer.new_event("replied", f"{name}/words {answer.at:%Y%m%d%H%M%S}", words, now)]
    )
    return new[0].id if new else None
