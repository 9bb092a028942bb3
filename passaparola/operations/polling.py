"""Going and looking: what each ear finds is kept as it came, with how far it looked, and applied like every other body.

And what the clock of listening does besides: response clocks that ran out, where people stand, the audit's chain, retention.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from passaparola.channel import registry
from passaparola.channel.receiver import Body, Poll
from passaparola.contacts import lifecycle
from passaparola.conversations import care, threads
from passaparola.errors import Blocked, ChannelError, Misconfigured
from passaparola.inbound import raw_bodies, surveys
from passaparola.operations import alerts
from passaparola.privacy import retention
from passaparola.settings import Settings
from passaparola.store import audit_chain, incidents, partitions
from passaparola.store.database import Store
from passaparola.store.models import Listened, Trouble

HOURLY = "once an hour"


@dataclass
class Looked:
    """How many bodies each ear found, and what kept one from looking."""

    found: Counter[str] = field(default_factory=Counter)
    problems: dict[str, str] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        said = [f"{count} from {name}" for name, count in self.found.items() if count]
        said += [f"{name}: {problem}" for name, problem in self.problems.items()]
        said += [f"{count} {what}" for what, count in self.done.items() if count]
        return ", ".join(said) or "nothing new"


async def listen(store: Store, settings: Settings, now: datetime) -> Looked:
    """Every ear that goes and looks, once; one that cannot stops no other."""
    looked = Looked()
    for name in registry.polls():
        try:
            await _look(store, name, now, looked)
        except Misconfigured:
            await asyncio.to_thread(_no_longer, store, name)  # this house does not listen there
        except Exception as error:  # whatever one network does to its ear, the others are heard
            said = str(error) if isinstance(error, ChannelError) else f"it could not be read ({type(error).__name__})"
            looked.problems[name] = said
            await asyncio.to_thread(_note, store, name, said, isinstance(error, Blocked), now)
    return looked


async def _look(store: Store, name: str, now: datetime, looked: Looked) -> None:
    found = registry.ear(name)
    assert issubclass(found, Poll)
    with store.read() as session:
        known = session.get(Listened, name)
    bodies, since = await found().look(known.since if known else "")
    looked.found[name] += await asyncio.to_thread(_keep, store, name, list(bodies), since, now)


def _keep(store: Store, name: str, bodies: list[Body], since: str, now: datetime) -> int:
    """The bodies and how far we are, in one transaction: nothing is missed and nothing is read twice for good."""
    with store.write() as session:
        urgent = registry.ear(name).urgent
        new = [
            raw_bodies.keep(session, name, body.key[:200], body.headers, body.content, now, urgent(body.content))
            for body in bodies
        ]
        session.merge(Listened(source=name, since=since, at=now))
        incidents.over(session, name, "listening")
        return sum(new)


def _no_longer(store: Store, name: str) -> None:
    with store.read() as session:
        if session.get(Trouble, (name, "listening")) is None:
            return
    with store.write() as session:
        incidents.over(session, name, "listening")


def _note(store: Store, name: str, problem: str, blocked: bool, now: datetime) -> None:
    """What a revoked key keeps from hearing, somebody is told of; a network that is slow today is only written down."""
    with store.write() as session:
        if blocked:
            incidents.note(session, name, "listening", problem, now)
        known = session.get(Listened, name)
        session.merge(Listened(source=name, since=known.since if known else "", at=now, problem=problem[:300]))


def tend(store: Store, settings: Settings, now: datetime, *, everything: bool = False) -> Counter[str]:
    """What time alone brings about. Every part may run again at any moment; what walks over everyone does so once an hour."""
    done: Counter[str] = Counter()
    done["answers"] = surveys.settle(store, settings, now, surveys.FAR_BACK)
    with store.write() as session:
        done["conversations escalated"] = threads.escalate(session, settings, now)
        hourly = session.get(Listened, HOURLY)
        due = everything or hourly is None or now - hourly.at >= timedelta(hours=1)
        if due:
            session.merge(Listened(source=HOURLY, at=now))
    if due:
        store.analyse()
        done += retention.keep(store, settings, now)
        with store.write() as session:
            done["people who stand elsewhere"] = lifecycle.refresh(
                session, care.in_force(settings.home).scores.high, now
            )
    done["months made ready"] = len(partitions.ahead(store, now))
    done["audit rows linked"] = audit_chain.link(store, now)
    done["troubles told"] = alerts.tell(store, settings)
    return done
