"""Poll channels: what each receiver fetches is stored as it came, with its cursor, and applied like every other body.

And what the same clock does besides: overdue response clocks, lifecycle, the audit's chain, retention.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from passaparola.channel import registry
from passaparola.channel.receiver import Poll, RawPayload
from passaparola.contacts import lifecycle
from passaparola.conversations import care, threads
from passaparola.errors import Blocked, ChannelError, Misconfigured
from passaparola.inbound import surveys
from passaparola.inbound.store import NewBody, store_bodies
from passaparola.operations import alerts
from passaparola.privacy import retention
from passaparola.settings import Settings
from passaparola.store import audit_chain, incidents, partitions
from passaparola.store.database import Store
from passaparola.store.models import ChannelIncident, PollCursor

HOURLY = "once an hour"


@dataclass
class PollResult:
    """How many bodies each receiver fetched, and what kept one from it."""

    received: Counter[str] = field(default_factory=Counter)
    problems: dict[str, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        tokens = [f"{count} from {name}" for name, count in self.received.items() if count]
        tokens += [f"{name}: {problem}" for name, problem in self.problems.items()]
        tokens += [f"{count} {what}" for what, count in self.done.items() if count]
        return ", ".join(tokens) or "nothing new"


async def poll_channels(store: Store, settings: Settings, now: datetime) -> PollResult:
    """Poll every channel that is polled, once; one that fails stops no other."""
    result = PollResult()
    for name in registry.poll_names():
        try:
            await _poll_channel(store, name, now, result)
        except Misconfigured:
            await asyncio.to_thread(_clear_incident, store, name)  # this house does not listen there
        except Exception as error:  # one network's error keeps no other from being polled
            reason = str(error) if isinstance(error, ChannelError) else f"it could not be read ({type(error).__name__})"
            result.problems[name] = reason
            await asyncio.to_thread(_record_problem, store, name, reason, isinstance(error, Blocked), now)
    return result


async def _poll_channel(store: Store, name: str, now: datetime, result: PollResult) -> None:
    receiver = registry.receiver_class(name)
    assert issubclass(receiver, Poll)
    with store.read() as session:
        known = session.get(PollCursor, name)
    bodies, since = await receiver().poll(known.since if known else "")
    result.received[name] += await asyncio.to_thread(_store_payloads, store, name, list(bodies), since, now)


def _store_payloads(store: Store, name: str, bodies: list[RawPayload], since: str, now: datetime) -> int:
    """Store the bodies and the new cursor in one transaction: nothing is missed and nothing is read twice for good."""
    with store.write() as session:
        urgent = registry.receiver_class(name).may_be_urgent
        new = store_bodies(
            session,
            [NewBody(name, body.key[:200], body.headers, body.content, now, urgent(body.content)) for body in bodies],
        )
        session.merge(PollCursor(source=name, since=since, at=now))
        incidents.clear_incident(session, name, "receiving")
        return sum(new)


def _clear_incident(store: Store, name: str) -> None:
    with store.read() as session:
        if session.get(ChannelIncident, (name, "receiving")) is None:
            return
    with store.write() as session:
        incidents.clear_incident(session, name, "receiving")


def _record_problem(store: Store, name: str, problem: str, blocked: bool, now: datetime) -> None:
    """Record why a poll failed. A refused key opens an incident, of which somebody is notified; a network that is
    slow is only written down."""
    with store.write() as session:
        if blocked:
            incidents.open_incident(session, name, "receiving", problem, now)
        known = session.get(PollCursor, name)
        session.merge(PollCursor(source=name, since=known.since if known else "", at=now, problem=problem[:300]))


def run_maintenance(store: Store, settings: Settings, now: datetime, *, everything: bool = False) -> Counter[str]:
    """Run what time alone brings about: response clocks, lifecycle, retention, the audit's chain. Any part may run
    again at any moment; what walks over everyone does so once an hour."""
    done: Counter[str] = Counter()
    done["answers"] = surveys.settle(store, settings, now, surveys.FAR_BACK)
    with store.write() as session:
        done["conversations escalated"] = threads.escalate_overdue(session, settings, now)
        hourly = session.get(PollCursor, HOURLY)
        due = everything or hourly is None or now - hourly.at >= timedelta(hours=1)
        if due:
            session.merge(PollCursor(source=HOURLY, at=now))
    if due:
        store.analyse()
        done += retention.purge_expired(store, settings, now)
        with store.write() as session:
            done["people who stand elsewhere"] = lifecycle.refresh_lifecycles(
                session, care.current_policy(settings.home).scores.high, now
            )
    done["months made ready"] = len(partitions.create_ahead(store, now))
    done["audit rows linked"] = audit_chain.link_new_rows(store, now)
    done["troubles told"] = alerts.send_alerts(store, settings)
    return done
