"""Incidents that stop a channel's sending or receiving until fixed: recorded once, notified once, and shown
everywhere."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlmodel import Session, col

from passaparola import clock
from passaparola.channel import registry
from passaparola.errors import Misconfigured, Unknown
from passaparola.store.database import audit, insert_or_ignore
from passaparola.store.models import ChannelBackoff, ChannelIncident, PollCursor

Direction = Literal["sending", "receiving"]


def open_incident(session: Session, channel: str, direction: Direction, reason: str, now: datetime) -> None:
    """Open an incident. A channel that may not send is paused: no campaign's messages go to it, and no other
    channel waits for it."""
    # Two workers may meet the same refusal at once.
    new = insert_or_ignore(session, ChannelIncident).values(
        channel=channel, direction=direction, since=now, reason=reason[:300], notified_at=None
    )
    if session.execute(new.returning(col(ChannelIncident.channel))).scalar() is not None:
        who = "outbox" if direction == "sending" else "polling"
        audit(session, now, who, "paused", f"channel:{channel}", because=reason[:300])


def back_off(session: Session, channel: str, until: datetime) -> None:
    """Back off from a channel for as long as its provider asked; the longest pause holds."""
    known = session.get(ChannelBackoff, channel, with_for_update=True)
    if known is None:
        session.execute(insert_or_ignore(session, ChannelBackoff).values(channel=channel, until=until))
    elif known.until < until:
        known.until = until


def active_backoffs(session: Session, now: datetime) -> dict[str, datetime]:
    """Return the channels that are backing off, and until when."""
    rests = select(col(ChannelBackoff.channel), col(ChannelBackoff.until)).where(col(ChannelBackoff.until) > now)
    return dict(row for row in session.execute(rests))


def clear_incident(session: Session, channel: str, direction: Direction) -> bool:
    """Clear an incident. Return whether there was one."""
    known = session.get(ChannelIncident, (channel, direction))
    if known is not None:
        session.delete(known)
    return known is not None


def resume_channel(session: Session, channel: str, *, actor: str, now: datetime) -> None:
    """Resume a paused channel. Raises Unknown: it is not paused."""
    if not clear_incident(session, channel, "sending"):
        paused = sorted(incident.channel for incident in open_incidents(session) if incident.direction == "sending")
        raise Unknown(f"“{channel}” is not paused; {'paused: ' + ', '.join(paused) if paused else 'no channel is'}.")
    audit(session, now, actor, "resumed", f"channel:{channel}")


def open_incidents(session: Session) -> list[ChannelIncident]:
    """Return the open incidents, the oldest first."""
    return list(
        session.execute(
            select(ChannelIncident).order_by(col(ChannelIncident.since), col(ChannelIncident.channel))
        ).scalars()
    )


def pending_notifications(session: Session) -> list[ChannelIncident]:
    """Return incidents of which nobody was notified yet."""
    return [incident for incident in open_incidents(session) if incident.notified_at is None]


def mark_notified(session: Session, those: Iterable[ChannelIncident], now: datetime) -> None:
    """Mark these incidents as notified, and none that was opened meanwhile."""
    for incident in those:
        known = session.get(ChannelIncident, (incident.channel, incident.direction))
        if known and known.since == incident.since:
            known.notified_at = now


def describe_incident(incident: ChannelIncident, zone: str) -> str:
    """Describe an incident in a sentence. `zone` is the house's."""
    what = "is paused" if incident.direction == "sending" else "receives nothing"
    return (
        f"{incident.channel} {what} since {clock.format_local(incident.since, zone, '%d %B, %H:%M')}: {incident.reason}"
    )


@dataclass(frozen=True)
class ChannelStatus:
    """One channel's state in words: `sending` and `receiving`, or why not; empty where it never does."""

    name: str
    title: str
    sending: str
    receiving: str
    paused: bool


def channel_statuses(session: Session, zone: str) -> list[ChannelStatus]:
    """Return the status of every channel, the paused ones first."""
    wrong = {(incident.channel, incident.direction): incident for incident in open_incidents(session)}
    cursors = {row.source: row for row in session.execute(select(PollCursor)).scalars()}
    statuses = []
    for name in sorted({*registry.sender_names(), *registry.receiver_names()}):
        title, sending, receiving = name.replace("_", " "), "", ""
        if name in registry.sender_names():
            title = registry.sender_class(name).branding.title
            sending = _incident_text(wrong.get((name, "sending"))) or _sending_status(name)
        if name in registry.receiver_names():
            polled = _receiving_status(name, cursors.get(name), zone)
            receiving = _incident_text(wrong.get((name, "receiving"))) or polled
        statuses.append(ChannelStatus(name, title, sending, receiving, (name, "sending") in wrong))
    return sorted(statuses, key=lambda row: not row.paused)


def _incident_text(incident: ChannelIncident | None) -> str:
    return f"paused: {incident.reason}" if incident else ""


def _sending_status(name: str) -> str:
    try:
        registry.sender_class(name)()
    except Misconfigured as error:
        return f"no: {error}"
    except Exception as error:  # a setting that is no address, a library that does not load
        return f"no: {type(error).__name__}"
    return "yes"


def _receiving_status(name: str, cursor: PollCursor | None, zone: str) -> str:
    if name not in registry.poll_names():
        return "by webhook"
    if cursor is None:
        return "not polled yet"
    return f"{cursor.problem or 'polled'} ({clock.format_local(cursor.at, zone, '%d %B, %H:%M')})"
