"""The watchdog: what runs and does not move is named by its step; what can be mended without harm is, the rest asks for someone.

Everything that it mends is what a clock would have done, so that two watchdogs and a clock at once do no harm either.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from passaparola.operations import health
from passaparola.operations.consumer import Tick
from passaparola.outbox.deliver import Drain
from passaparola.outbox.reconcile import quarantine_of, reconcile
from passaparola.settings import Settings
from passaparola.store.database import Store

POLL_STALE_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Finding:
    """`step` is where it stands still; `asks` says what a person has to do, and is empty where it was mended."""

    step: str
    summary: str
    action: str = ""


async def run_watchdog(store: Store, settings: Settings, now: datetime, tick: Tick) -> list[Finding]:
    """Look, mend what is safe, and look again: what still stands then asks for someone."""
    before = await asyncio.to_thread(health.take_snapshot, store, now)
    stuck = find_stuck_steps(before)
    if stuck:
        await reconcile(store, now)
        await asyncio.to_thread(tick, store, settings, now, actor="watchdog")
        if any(one.step == "deliver" for one in stuck):
            await Drain(store, settings, clock=lambda: now).run()
    after = await asyncio.to_thread(health.take_snapshot, store, now)
    still = {one.step: one for one in find_stuck_steps(after)}
    mended = [one for one in stuck if one.step not in still]
    return [
        *mended,
        *(Finding(one.step, one.summary, _suggested_action(one.step)) for one in still.values()),
        *find_open_questions(after),
    ]


def find_stuck_steps(found: health.HealthSnapshot) -> list[Finding]:
    """Which steps of the street hold something that has been due for longer than any clock's interval."""
    limit = health.STUCK_AFTER.total_seconds()
    heaps = (
        ("listen", found.inbound, limit, "{} bodies came in and are not applied, the oldest since {}"),
        ("advance", found.enrolments, limit, "{} people are due and do not move on, the first since {}"),
        ("deliver", found.batches, limit, "{} batches are due and nobody sends them, the oldest since {}"),
        ("record", found.calls, quarantine_of("sendgrid").total_seconds(), "{} batches are at a provider and nobody records the answer, since {}"),
    )  # fmt: skip
    return [
        Finding(step, words.format(heap.count, _seconds_ago(heap.oldest)))
        for step, heap, most, words in heaps
        if heap.oldest > most
    ]


def find_open_questions(found: health.HealthSnapshot) -> list[Finding]:
    """What no machine may decide."""
    asked = [
        Finding("deliver", f"{name} is paused: {why}", f"mend it, then: passaparola channel resume {name}")
        for name, why in found.paused.items()
    ]
    asked += [
        Finding(
            "deliver", f"launch {id_} of {campaign} {note}", f"mend it, then: passaparola campaign resume {campaign}"
        )
        for id_, campaign, note in found.incidents
    ]
    if found.unknown.oldest > health.UNKNOWN_FOR_LONG.total_seconds():
        says = f"{found.unknown.count} batches are unknown, the oldest since {_seconds_ago(found.unknown.oldest)}"
        asked.append(Finding("reconcile", says, "look into the provider's own log; nothing is sent again by itself"))
    if found.invalid_bodies:
        asked.append(
            Finding("listen", f"{found.invalid_bodies} bodies were not understood", "passaparola intake status")
        )
    deaf = [name for name, at in found.polled_at.items() if found.at - at > POLL_STALE_AFTER]
    if deaf:
        asked.append(
            Finding(
                "listen", f"nobody has looked at {', '.join(deaf)} for more than an hour", "is the clock `listen` on?"
            )
        )
    return asked


def _suggested_action(step: str) -> str:
    return {
        "listen": "passaparola intake status says what keeps them",
        "advance": "the log of system-advance says what keeps them",
        "deliver": "the log of system-deliver says what keeps them",
        "record": "they are given up after their quarantine; nothing is sent twice",
    }[step]


def _seconds_ago(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"
