"""The engine: apply inbound events, advance enrolments, deliver the outbox. Every entry point calls this module.

Rooms beside each other do not import each other; here they are joined. `tick` is what a clock, an event or a command
does before it drains the outbox; any number of processes may do it at once, and die anywhere.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlmodel import Session

from passaparola.contacts import signup
from passaparola.inbound import surveys
from passaparola.inbound.pipeline import apply_inbound
from passaparola.journeys import launch
from passaparola.journeys.advance import advance
from passaparola.outbox import evidence, transactional
from passaparola.outbox.links import Links
from passaparola.outbox.plan import plan_messages
from passaparola.privacy import erasure
from passaparola.settings import Settings
from passaparola.store.database import Store


@dataclass(frozen=True)
class TickResult:
    """How many events were recorded by kind, and how many people entered, moved on, left."""

    events: Counter[str]
    moved: Counter[str]

    def __str__(self) -> str:
        counted = [f"{count} {what}" for what, count in (*self.events.items(), *self.moved.items()) if count]
        return ", ".join(counted) or "nobody was due"


def tick(store: Store, settings: Settings, now: datetime, *, actor: str, only: int | None = None) -> TickResult:
    """Apply inbound events, release approved launches and advance enrolments. Sends nothing."""
    kinds = apply_inbound(store, settings, now)
    kinds += Counter(survey_answered=surveys.settle(store, settings, now))
    signup.send_confirmations(store, settings, now, partial(_send_confirmation, settings, now))
    evidence.resolve_unknown(store, now)
    launch.release_approved(store, actor=actor, now=now)
    return TickResult(kinds, advance(store, settings, now, plan_messages, only))


def _send_confirmation(
    settings: Settings, now: datetime, session: Session, contact: int, id_: int, language: str
) -> None:
    """Send the email that asks for the second yes of a sign-up; nothing that was typed into the form is in it."""
    link = Links(settings.secret, settings.public_url)
    texts = {"action_url": f"{settings.public_url}/confirm/{link.sign('confirm', str(id_))}"}
    headers = {"Auto-Submitted": "auto-generated"}
    transactional.send_to_contact(
        session, settings, contact, "confirm", texts=texts, now=now, headers=headers, language=language or None
    )


def start_launch(store: Store, settings: Settings, launch_id: int, *, actor: str, now: datetime) -> Counter[str]:
    """Release one approved launch and move on who is due in it. Raises NotAllowed."""
    launch.release(store, launch_id, actor=actor, now=now)
    return advance(store, settings, now, plan_messages, launch_id)


def erase_contact(store: Store, settings: Settings, contact_id: int, *, actor: str, now: datetime) -> None:
    """Erase a contact, after what came in is applied: somebody else's opt-out may be in the same body. Raises
    Unknown, NotAllowed."""
    apply_inbound(store, settings, now)
    erasure.erase(store, settings, contact_id, actor=actor, now=now)
