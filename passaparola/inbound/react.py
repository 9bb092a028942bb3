"""Stage 6: react to what was recorded: suppressions, opt-outs, consents, conversations, machines, activity."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from passaparola.channel.receiver import InboundText
from passaparola.contacts import activity, consent
from passaparola.conversations import threads
from passaparola.inbound import machines, suppression
from passaparola.inbound.identify import Resolution
from passaparola.inbound.parse import IncomingEvent
from passaparola.inbound.record import IdentifiedEvent, RecordedEvent
from passaparola.settings import Settings


def react(
    session: Session,
    settings: Settings,
    recorded: Sequence[RecordedEvent],
    identified: Sequence[IdentifiedEvent],
    now: datetime,
) -> None:
    """Suppress, open conversations, record consents and count activity for new events, in the transaction that records
    them.

    `identified` also holds events recorded before: each is checked for a consent at a checkout.
    """
    feedback = [fact for fact in recorded if fact.identified.incoming.event.is_feedback]
    suppression.apply_feedback(session, feedback, now)
    touched = {
        fact.row.enrolment_id for fact in feedback if fact.row.enrolment_id and fact.row.kind in machines.JUDGED_KINDS
    }
    recount = machines.judge_touches(session, touched) if touched else set()
    for fact in recorded:
        _receive_text(session, settings, fact, now)
    for event in identified:
        _record_checkout_consent(session, settings, event, now)
    activity.add_events(session, settings.currency, [fact.row for fact in recorded], recount)


def react_to_strangers(session: Session, strangers: Sequence[tuple[IncomingEvent, Resolution]], now: datetime) -> None:
    """Suppress addresses that unsubscribed before we knew anyone by them: should a file bring them in later, it
    holds."""
    for incoming, resolution in strangers:
        event, key = incoming.event, resolution.address_key
        if event.kind == "unsubscribed" and event.properties.get("everything") and key:
            at = min(event.at, now)
            consent.suppress(session, event.medium, key, suppression.BEFORE_US, at=at, source=incoming.source)


def _receive_text(session: Session, settings: Settings, recorded: RecordedEvent, now: datetime) -> None:
    """Put what a contact wrote, or scored, into their conversation."""
    incoming, row = recorded.identified.incoming, recorded.row
    event, text, score = incoming.event, incoming.event.text, None
    given = event.properties.get("score")
    if event.kind == "survey_answered" and isinstance(given, int | float):
        score = given
        external_id = f"{incoming.source}:{event.id}"[:200]
        text = InboundText(str(event.properties.get("comment") or ""), external_id=external_id)
    if text is None:
        return
    about = event.message if recorded.identified.resolution.message else ""
    threads.receive(
        session,
        settings,
        threads.IncomingText(
            row.contact_id, row.id, event.medium or "email", incoming.source, row.at, text, about, score
        ),
        now,
    )


def _record_checkout_consent(session: Session, settings: Settings, identified: IdentifiedEvent, now: datetime) -> None:
    """Record the answer given at a checkout; a paid order is a basis only where the operator says that buyers are
    told so."""
    incoming, event = identified.incoming, identified.incoming.event
    if event.kind != "order_completed" or "email" not in incoming.addresses:
        return
    # Only at a checkout is it an answer; later deliveries of the same order merely repeat it.
    if event.accepts_marketing:
        proof = {"source": incoming.source, "delivery": incoming.delivery, "asked": "at the checkout"}
        at = min(event.accepts_marketing_at or event.at, now)
        source = f"{incoming.source} checkout"
        consent.record_reported(session, identified.contact, "newsletter", True, at=at, source=source, proof=proof)
    order = str(event.properties.get("order_id", event.id))
    for topic in settings.soft_opt_in_topics:
        consent.record_soft_opt_in(
            session,
            identified.contact,
            topic,
            agrees=event.accepts_marketing,
            at=min(event.at, now),
            source=f"bought at {incoming.source}",
            order=order,
        )
