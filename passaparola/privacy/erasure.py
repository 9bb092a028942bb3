"""Forgetting a person: every row, every raw body, every file of ours that holds them; what stays is a keyed hash
that says never to write there again.

Messages and audit keep numbers, never names. Deleted pages are overwritten and the write-ahead log is emptied on
SQLite.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import String, Text, cast, delete, func, literal, or_, select, update
from sqlmodel import Session, col

from passaparola.contacts import consent, events
from passaparola.errors import NotAllowed, Unknown
from passaparola.settings import Settings
from passaparola.store.bulk import execute_update
from passaparola.store.database import Store, audit
from passaparola.store.models import (
    Activity,
    Address,
    Attempt,
    Batch,
    Consent,
    Contact,
    Conversation,
    Enrolment,
    Event,
    Launch,
    Merge,
    Message,
    Proposal,
    RawBody,
    SignUp,
    Turn,
)
from passaparola.store.states import MessageState

FORGOTTEN = "asked to be forgotten"
FILE_PATTERNS = ("*.csv", "*.json", "*.jsonl", "*.txt", "*.log")  # what under var/ may hold a row of a person


def erase(store: Store, settings: Settings, contact_id: int, *, actor: str, now: datetime) -> None:
    """Erase a person everywhere. Erasing again finishes what a crash cut off. Raises Unknown, NotAllowed.

    What came in must be applied before: somebody else's opt-out may be in the same body (`engine.erase_contact`).
    """
    with store.write() as session:
        everyone = _merged_rows(session, contact_id)
        words = _identifying_words(session, everyone)
        messages = _erase_rows(session, everyone, words, actor, now)
    _erase_files(settings, words, messages)
    store.truncate_wal()


def erase_unconfirmed(store: Store, settings: Settings, contact_id: int, *, now: datetime) -> None:
    """Erase contacts who never confirmed: someone else may have typed the address. It may be asked for again."""
    with store.write() as session:
        words = _identifying_words(session, [contact_id])
        messages = _erase_rows(session, [contact_id], words, "retention", now, suppressing=False)
    _erase_files(settings, words, messages)
    store.truncate_wal()


def _merged_rows(session: Session, contact_id: int) -> list[int]:
    """Return the contact and all rows that were merged into it."""
    person = session.get(Contact, contact_id)
    if person is None:
        raise Unknown(f"There is no contact {contact_id}.")
    if person.merged_into:
        raise NotAllowed(f"Contact {contact_id} is one with contact {person.merged_into}; erase that one.")
    rows, fresh = [contact_id], [contact_id]
    while fresh:
        fresh = list(session.execute(select(col(Contact.id)).where(col(Contact.merged_into).in_(fresh))).scalars())
        rows += fresh
    return rows


def _identifying_words(session: Session, people: list[int]) -> list[str]:
    """Return the addresses that bodies and files may name them by, without those under four characters."""
    rows = session.execute(select(col(Address.medium), col(Address.value)).where(col(Address.contact_id).in_(people)))
    return [value for _, value in rows if len(value) > 3]


def _erase_rows(
    session: Session, people: list[int], words: list[str], actor: str, now: datetime, *, suppressing: bool = True
) -> list[str]:
    addresses = select(Address).where(col(Address.contact_id).in_(people if suppressing else []))
    for address in session.execute(addresses).scalars():
        consent.suppress(session, address.medium, address.key, FORGOTTEN, at=now, source=actor)
    enrolments = select(col(Enrolment.id)).where(col(Enrolment.contact_id).in_(people))
    conversations = select(col(Conversation.id)).where(col(Conversation.contact_id).in_(people))
    ids = [
        f"{e}-{s}-{m}"
        for e, s, m in session.execute(
            select(col(Message.enrolment_id), col(Message.step), col(Message.medium)).where(
                col(Message.enrolment_id).in_(enrolments)
            )
        )
    ]
    _scrub_ledger(session, people, enrolments, words)
    events.delete_events(session, col(Event.contact_id).in_(people))
    for table, mine in (
        (Turn, col(Turn.conversation_id).in_(conversations)),
        (Conversation, col(Conversation.contact_id).in_(people)),
        (Activity, col(Activity.contact_id).in_(people)),
        (Consent, col(Consent.contact_id).in_(people)),
        (SignUp, col(SignUp.contact_id).in_(people)),
        (Address, col(Address.contact_id).in_(people)),
        (Proposal, or_(col(Proposal.one_id).in_(people), col(Proposal.other_id).in_(people))),
        (Merge, or_(col(Merge.kept_id).in_(people), col(Merge.merged_id).in_(people))),
    ):
        execute_update(session, delete(table).where(mine))
    for word in words:
        execute_update(session, delete(SignUp).where(func.lower(col(SignUp.address)) == word))
    _blank_contacts(session, people, now)
    _scrub_bodies(session, words)
    audit(session, now, actor, "erased", f"contact:{people[0]}", rows=len(people))
    return ids


def _blank_contacts(session: Session, people: list[int], now: datetime) -> None:
    """Blank the contacts: no more is left than that they asked to be forgotten."""
    blank: dict[str, Any] = {
        name: None for name in Contact.model_fields if name not in ("id", "created_at", "erased_at", "merged_into")
    }
    blank |= {"traits": {}, "sources": {}, "updated_at": now, "erased_at": now}
    execute_update(session, update(Contact).where(col(Contact.id).in_(people)).values(**blank))


def _scrub_ledger(session: Session, people: list[int], enrolments: Any, words: list[str]) -> None:
    """Scrub the ledger: providers' sentences name addresses, and an order's number may be a name."""
    mine = col(Message.enrolment_id).in_(enrolments)
    reasons = update(Message).where(mine, col(Message.reason).is_not(None))
    execute_update(session, reasons.values(reason=FORGOTTEN))
    execute_update(session, update(Message).where(mine).values(receipt=None))
    queued = select(col(Batch.id)).where(col(Batch.state) == MessageState.QUEUED)
    waiting = update(Message).where(mine, col(Message.state).is_(None), col(Message.batch_id).in_(queued))
    execute_update(session, waiting.values(state=MessageState.HELD, reason=FORGOTTEN))
    keyed = update(Enrolment).where(col(Enrolment.contact_id).in_(people), col(Enrolment.key) != "")
    unkeyed = literal("forgotten ") + cast(col(Enrolment.id), String)
    execute_update(session, keyed.values(key=unkeyed))
    for word in words:
        about = update(Attempt).where(func.lower(col(Attempt.detail)).contains(word, autoescape=True))
        execute_update(session, about.values(detail=FORGOTTEN))
    # Letters of one person carry their words in their own launch.
    launch_ids = select(col(Enrolment.launch_id)).where(col(Enrolment.contact_id).in_(people))
    transactional = select(Launch).where(
        col(Launch.id).in_(launch_ids), col(Launch.campaign).startswith("_", autoescape=True)
    )
    for launch in session.execute(transactional).scalars():
        launch.content = {**launch.content, "says": {}, "headers": {}}


def _scrub_bodies(session: Session, words: Sequence[str]) -> None:
    """Scrub the raw bodies that name the person; everything was applied before this."""
    if session.get_bind().dialect.name == "sqlite":
        readable: Any = func.lower(cast(col(RawBody.body), Text()))
    else:
        readable = func.lower(func.encode(col(RawBody.body), "escape"))
    named = _word_pattern(words)
    for word in sorted({*words, *(quote(word_).lower() for word_ in words)}):
        holds = or_(
            readable.contains(word, autoescape=True), func.lower(col(RawBody.problem)).contains(word, autoescape=True)
        )
        for row in session.execute(select(RawBody).where(holds, col(RawBody.state) != "new")).scalars().all():
            if named.search(bytes(row.body).lower()) or named.search(row.problem.lower().encode()):
                row.body, row.problem, row.headers = b"", "", {}


def _word_pattern(words: Sequence[str]) -> re.Pattern[bytes]:
    """Build the pattern that finds these addresses and no longer ones that hold them: anna@x.it is not susanna@x.it."""
    forms = {form for word in words for form in (word, quote(word).lower())} or {"\0"}
    return re.compile(
        rb"(?:(?<![\w.+-])|(?<=%[0-9a-f]{2}))(?:"
        + b"|".join(re.escape(form.encode()) for form in sorted(forms))
        + rb")(?![\w-])"
    )


def _erase_files(settings: Settings, words: list[str], messages: list[str]) -> None:
    """Erase the mailbox's copies of their messages, and their rows in rejects and logs."""
    box = settings.var / "mailbox"
    for id_ in messages:
        for path in box.glob(f"*/*/{id_},*") if box.is_dir() else ():
            path.unlink(missing_ok=True)
    for pattern in FILE_PATTERNS:
        for path in settings.var.rglob(pattern) if settings.var.is_dir() else ():
            _strip_rows(path, words)


def _strip_rows(path: Path, words: list[str]) -> None:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError:
        return
    named = _word_pattern(words)
    kept = [line for line in lines if not named.search(line.lower())]
    if len(kept) != len(lines):
        path.write_bytes(b"".join(kept))
