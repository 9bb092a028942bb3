"""Answers to surveys. A tap in the letter is an answer as soon as it is sure that a person tapped: a scanner follows
every number at once, a person one."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

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
            answer(session, settings, tap.contact_id, _name(tap), tap.properties, tap.at, now, tap)
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
    found = list(session.execute(taps).scalars())
    if not found:
        return []
    known = set(session.execute(answered.where(col(Event.source_id).in_([_name(tap) for tap in found]))).scalars())
    return [tap for tap in found if _name(tap) not in known]


def _name(tap: Event) -> str:
    return f"{tap.enrolment_id}-{tap.step}-{tap.medium}"


def answer(
    session: Session,
    settings: Settings,
    contact: int,
    name: str,
    given: dict[str, Any],
    at: datetime,
    now: datetime,
    of: Any,
) -> bool:
    """Keep an answer, once per letter; a low score opens a conversation. False: it had been answered.

    `of` has the enrolment_id, step and medium of the letter. A second answer corrects the first; words that come
    with it are heard.
    """
    properties = {key: value for key, value in given.items() if key not in ("link", "machine")}
    event = events.NewEvent(
        contact,
        "survey_answered",
        at,
        now,
        "survey",
        name,
        properties=properties,
        enrolment_id=of.enrolment_id,
        step=of.step,
        medium=of.medium,
    )
    new = events.record_events(session, [event])
    id_ = new[0].id if new else None
    comment, score = str(given.get("comment", "")), given.get("score")
    if id_ is None:
        id_ = _corrected(session, settings, contact, name, properties, comment, at, now, of)
        score = score if id_ else None
    activity.refresh(session, settings.currency, [contact])
    if id_ is not None and (score is not None or comment):
        words = InboundText(comment, external_id=f"survey:{name}")
        threads.receive(
            session,
            settings,
            IncomingText(contact, id_, of.medium, "survey", at, words, name, None if score is None else float(score)),
            now,
        )
    return id_ is not None


def _corrected(
    session: Session,
    settings: Settings,
    contact: int,
    name: str,
    properties: dict[str, Any],
    comment: str,
    at: datetime,
    now: datetime,
    of: Any,
) -> int | None:
    """Return the event of what is said anew: words, or a score that has become low; None where there is nothing to
    hear."""
    first = session.execute(
        select(Event).where(col(Event.source) == "survey", col(Event.source_id) == name)
    ).scalar_one()
    if first.properties.get("comment", "") == comment and first.properties.get("answer") == properties.get("answer"):
        return None
    low = care.current_policy(settings.home).scores.low
    sinks = float(properties.get("score", 10)) <= low < float(first.properties.get("score", 10))
    first.properties = {**first.properties, **properties}
    if not comment and not sinks:
        return None
    words = events.NewEvent(
        contact,
        "replied",
        at,
        now,
        "survey",
        f"{name}/words {at:%Y%m%d%H%M%S}",
        properties={"campaign": properties.get("campaign")},
        enrolment_id=of.enrolment_id,
        step=of.step,
        medium=of.medium,
    )
    new = events.record_events(session, [words])
    return new[0].id if new else None
