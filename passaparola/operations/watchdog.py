"""The watchdog: what runs and does not move is named by its step; what can be mended without harm is, the rest asks
for someone.

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
    """What is stuck. `step` is the stage; `asks` says what a person has to do, and is empty where it was mended."""

    step: str
    summary: str
    action: str = ""


async def run_watchdog(store: Store, settings: Settings, now: datetime, tick: Tick) -> list[Finding]:
    """Find stuck stages, run them, and look again: what is still stuck then asks for a person."""
    before = await asyncio.to_thread(health.take_snapshot, store, now)
    stuck = find_stuck_steps(before)
    if stuck:
        await reconcile(store, now)
        await asyncio.to_thread(tick, store, settings, now, actor="watchdog")
        if any(stage.step == "deliver" for stage in stuck):
            await Drain(store, settings, clock=lambda: now).run()
    after = await asyncio.to_thread(health.take_snapshot, store, now)
    still = {finding.step: finding for finding in find_stuck_steps(after)}
    mended = [stage for stage in stuck if stage.step not in still]
    return [
        *mended,
        *(Finding(stage.step, stage.summary, _suggested_action(stage.step)) for stage in still.values()),
        *find_open_questions(after),
    ]


def find_stuck_steps(snapshot: health.HealthSnapshot) -> list[Finding]:
    """Return the stages that hold something that has been due for longer than any clock's interval."""
    limit = health.STUCK_AFTER.total_seconds()
    heaps = (
        ("listen", snapshot.inbound, limit, "{} bodies came in and are not applied, the oldest since {}"),
        ("advance", snapshot.enrolments, limit, "{} people are due and do not move on, the first since {}"),
        ("deliver", snapshot.batches, limit, "{} batches are due and nobody sends them, the oldest since {}"),
        (
            "record",
            snapshot.calls,
            quarantine_of("sendgrid").total_seconds(),
            "{} batches are at a provider and nobody records the answer, since {}",
        ),
    )
    return [
        Finding(step, words.format(heap.count, _seconds_ago(heap.oldest)))
        for step, heap, most, words in heaps
        if heap.oldest > most
    ]


def find_open_questions(snapshot: health.HealthSnapshot) -> list[Finding]:
    """Return what no machine may decide."""
    findings = [
        Finding("deliver", f"{name} is paused: {why}", f"mend it, then: passaparola channel resume {name}")
        for name, why in snapshot.paused.items()
    ]
    findings += [
        Finding(
            "deliver", f"launch {id_} of {campaign} {note}", f"mend it, then: passaparola campaign resume {campaign}"
        )
        for id_, campaign, note in snapshot.incidents
    ]
    if snapshot.unknown.oldest > health.UNKNOWN_FOR_LONG.total_seconds():
        question = (
            f"{snapshot.unknown.count} batches are unknown, the oldest since {_seconds_ago(snapshot.unknown.oldest)}"
        )
        findings.append(
            Finding("reconcile", question, "look into the provider's own log; nothing is sent again by itself")
        )
    if snapshot.invalid_bodies:
        findings.append(
            Finding("listen", f"{snapshot.invalid_bodies} bodies were not understood", "passaparola intake status")
        )
    deaf = [name for name, at in snapshot.polled_at.items() if snapshot.at - at > POLL_STALE_AFTER]
    if deaf:
        findings.append(
            Finding(
                "listen", f"nobody has looked at {', '.join(deaf)} for more than an hour", "is the clock `listen` on?"
            )
        )
    return findings


def _suggested_action(step: str) -> str:
    return {
        "listen": "passaparola intake status says what keeps them",
        "advance": "the log of system-advance says what keeps them",
        "deliver": "the log of system-deliver says what keeps them",
        "record": "they are given up after their quarantine; nothing is sent twice",
    }[step]


def _seconds_ago(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"
