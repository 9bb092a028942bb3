"""What is written to one person because they asked or spoke: a confirmation, their data, the answer of one of us.

The same launches, batches and ledger as everything else, on a basis of its own: transactional. No consent is needed for
it and no cap counts it, but who is suppressed or forgotten is not written to, and says so in the ledger.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from passaparola.channel.message_ids import MessageId
from passaparola.channel.registry import carrier_for
from passaparola.outbox.render.frozen import freeze_house_wordings
from passaparola.settings import Settings
from passaparola.store.models import Batch, Contact, Enrolment, Launch, Message, wording_hash

TRANSACTIONAL_PRIORITY = 100  # its priority: who waits for an answer goes before every campaign


def send_to_contact(  # noqa: PLR0913  the parts of a message, each named by its caller
    session: Session,
    settings: Settings,
    contact_id: int,
    name: str,
    *,
    texts: Mapping[str, Any],
    now: datetime,
    medium: str = "email",
    headers: Mapping[str, str] | None = None,
    language: str | None = None,
) -> str:
    """Send a message of templates/_house/ to one contact, due at once, in the caller's transaction. Return its id.
    `texts` are the words that it needs; `headers` go out with it, such as In-Reply-To. Raises BadContent, Unknown."""
    wordings = freeze_house_wordings(settings, name, medium)
    person = session.get(Contact, contact_id)
    spoken = language or (person.language if person else None)
    locale = next((language_ for language_ in (spoken, settings.locale) if language_ in wordings), sorted(wordings)[0])
    content = _build_content(settings, name, medium, wordings, dict(texts), dict(headers or {}))
    return str(_plan_message(session, content, contact_id, medium, locale, now))


def _plan_message(
    session: Session, content: dict[str, Any], contact_id: int, medium: str, locale: str, now: datetime
) -> MessageId:
    """Plan the one message of its launch."""
    launch = Launch(
        campaign=content["campaign"],
        hash=wording_hash(content, now),
        wording=wording_hash(content),
        content=content,
        state="running",
        transactional=True,
        priority=TRANSACTIONAL_PRIORITY,
        due_at=now,
        created_at=now,
        started_at=now,
    )
    session.add(launch)
    session.flush()
    assert launch.id is not None
    enrolment = Enrolment(
        launch_id=launch.id, contact_id=contact_id, step=1, due_at=now, entered_at=now, outcome="finished", ended_at=now
    )
    batch = Batch(launch_id=launch.id, step=0, medium=medium, locale=locale, number=0, size=1, due_at=now)
    session.add_all([enrolment, batch])
    session.flush()
    assert enrolment.id is not None
    session.add(Message(enrolment_id=enrolment.id, step=0, medium=medium, batch_id=batch.id))
    session.flush()
    return MessageId(enrolment.id, 0, medium)


def _build_content(
    settings: Settings,
    name: str,
    medium: str,
    wordings: Mapping[str, Any],
    texts: dict[str, Any],
    headers: dict[str, str],
) -> dict[str, Any]:
    return {
        "campaign": f"_{name}",
        "title": name.replace("_", " "),
        "topic": "",
        "basis": "transactional",
        "audience": None,
        "who": None,
        "inside": {},
        "enter": {"on": name, "again": "always", "zone": settings.time_zone},
        "leave": None,
        "goal": None,
        "holdout": 0.0,
        "priority": TRANSACTIONAL_PRIORITY,
        "steps": [{"say": name, "by": [medium]}],
        "said_once": False,
        "locale": settings.locale,
        "late_after": None,
        "messages": {f"{name}/{medium}": dict(wordings)},
        "public": [],
        "channels": {medium: carrier_for(medium, settings).name},
        "says": texts,
        "headers": headers,
        "sender": {
            "name": settings.sender_name,
            "email": settings.sender_email,
            "reply_to": settings.reply_to,
            "organisation": settings.organisation,
            "postal_address": settings.postal_address,
            "public_url": settings.public_url,
        },
    }
