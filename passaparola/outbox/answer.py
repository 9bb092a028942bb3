"""An answer in a conversation: in its thread, on its medium, through the same outbox; and what is sold again after
it closed."""

import re
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from linkify_it import LinkifyIt
from sqlalchemy import select
from sqlmodel import Session, col

from passaparola.channel import registry
from passaparola.channel.message_ids import MessageId, sign_message_id
from passaparola.conversations import threads
from passaparola.conversations.care import BLOCKS_MARKETING
from passaparola.errors import NotAllowed
from passaparola.outbox import transactional
from passaparola.outbox.reasons import HoldReason
from passaparola.outbox.wordings import StepWordings
from passaparola.settings import Settings
from passaparola.store.database import audit
from passaparola.store.models import Batch, Contact, Conversation, Enrolment, Launch, Message, Turn, select_messages
from passaparola.store.states import MessageState

MAX_ANSWER_CHARS = 20_000
DUPLICATE_WINDOW = timedelta(minutes=10)  # within which the same words are the same answer, sent by a second tap
LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")
RESUME_DAYS = 14  # after which what was held for care is no news any more


def send_answer(session: Session, settings: Settings, id_: int, text: str, *, actor: str, now: datetime) -> str:
    """Write back in a conversation. Return the message's id; the earlier one's, where the same words were just sent
    and nothing was said since. Raises Unknown, NotAllowed."""
    text = normalise_lines(text)
    conversation = threads.get_conversation(session, id_, locked=True)
    _refuse_unsendable(conversation, text)
    if again := _find_duplicate(session, id_, text, now):
        return str(MessageId(again, 0, conversation.medium))
    last = (
        select(col(Turn.name))
        .where(col(Turn.conversation_id) == id_, col(Turn.author) == "", col(Turn.name) != "")
        .order_by(col(Turn.at).desc(), col(Turn.id).desc())
    )
    replied_to = session.execute(last.limit(1)).scalar() or ""
    texts = {
        "subject": _reply_subject(conversation, settings.organisation),
        "text": text,
        "paragraphs": split_paragraphs(text),
        "author": actor,
    }
    way: dict[str, Any] = {"medium": conversation.medium, "headers": _thread_headers(conversation, replied_to)}
    message = transactional.send_to_contact(
        session,
        settings,
        conversation.contact_id,
        "answer",
        texts=texts,
        now=now,
        **way,
        language=conversation.language or None,
    )
    name = f"<{sign_message_id(settings.secret, message)}.passaparola@{settings.sender_email.rpartition('@')[2]}>"
    threads.record_answer(session, id_, text, int(message.partition("-")[0]), name, actor=actor, now=now)
    return message


def _refuse_unsendable(conversation: Conversation, text: str) -> None:
    if not text or len(text) > MAX_ANSWER_CHARS:
        raise NotAllowed(
            "An answer needs words." if not text else f"An answer has at most {MAX_ANSWER_CHARS} characters."
        )
    if conversation.medium not in registry.sendable_media():
        network = registry.branding_of(conversation.medium).title
        raise NotAllowed(f"Nobody answers on {network} from here; go there: {conversation.thread}")


def _reply_subject(conversation: Conversation, organisation: str) -> str:
    subject = conversation.subject
    if not subject.lower().startswith("re:"):
        subject = f"Re: {subject or organisation}"
    return " ".join(subject.split())[:200]


def normalise_lines(text: str) -> str:
    """Give a text one kind of line end, and no spaces around it: browsers send CR LF, other programs what they like."""
    lines = LINE_ENDS.sub("\n", text.replace("\x00", "")).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def split_paragraphs(text: str) -> list[list[dict[str, Any]]]:
    """Split an answer into what an email shows: paragraphs of pieces, each a line break, a link (`url` and `text`)
    or plain `text`."""
    return [
        [
            piece
            for n, line in enumerate(block.split("\n"))
            for piece in ([{"newline": True}] if n else []) + _link_pieces(line)
        ]
        for block in re.split(r"\n{2,}", text)
    ]


def _link_pieces(line: str) -> list[dict[str, Any]]:
    """Split a line at its addresses. HTML swallows spaces that follow each other, so all but the last stay by name."""
    pieces: list[dict[str, Any]] = []
    at = 0
    for link in _linkifier().match(line) or ():
        if link.schema or link.text.startswith("www."):  # “Grazie.Se vuole” is no address, though .se is a country
            pieces += [{"text": _keep_spaces(line[at : link.index])}, {"url": link.url, "text": link.text}]
            at = link.last_index
    pieces.append({"text": _keep_spaces(line[at:])})
    return [piece for piece in pieces if piece["text"]]


def _keep_spaces(text: str) -> str:
    return re.sub(" (?= )|^ ", "\u00a0", text.expandtabs(4))


@cache
def _linkifier() -> LinkifyIt:
    return LinkifyIt().tlds(["[a-z]{2,63}"], True)  # of addresses and www. names; new ones come every year


def _find_duplicate(session: Session, id_: int, text: str, now: datetime) -> int | None:
    """Find the enrolment of the answer that was just sent with the very same words, where nothing was said since."""
    turns = select(Turn).where(col(Turn.conversation_id) == id_).order_by(col(Turn.id).desc()).limit(1)
    last = session.execute(turns).scalar()
    same = last is not None and last.author and last.text == text and now - last.at < DUPLICATE_WINDOW
    return last.enrolment_id if last and same else None


def _thread_headers(conversation: Conversation, replied_to: str) -> dict[str, str]:
    """Build the headers of a thread: RFC 5322, 3.6.4; on X the post that is answered, or the thread of direct
    messages."""
    if conversation.medium != "email":
        private = conversation.thread.startswith("direct:")
        return {"In-Reply-To": conversation.thread if private else replied_to} if replied_to or private else {}
    if not replied_to.startswith("<"):
        return {}
    references = (
        " ".join(dict.fromkeys([conversation.thread, replied_to]))
        if conversation.thread.startswith("<")
        else replied_to
    )
    return {"In-Reply-To": replied_to[:900], "References": references[:900]}


def close_and_resume(session: Session, id_: int, *, actor: str, now: datetime) -> int:
    """Close a conversation; what was held while it was open goes out after all. Returns how many messages that is."""
    conversation = threads.close_conversation(session, id_, actor=actor, now=now)
    still = select(col(Conversation.id)).where(
        col(Conversation.contact_id) == conversation.contact_id,
        col(Conversation.state) != "closed",
        col(Conversation.kind).in_(BLOCKS_MARKETING),
    )
    if session.execute(still.limit(1)).scalar() is not None:
        return 0
    return _resume_held(session, conversation.contact_id, actor, now)


def _held_for_care(contact_id: int) -> Any:
    """Build the query of what is held from a contact until their conversation is closed."""
    return (
        select_messages(Message, Launch, Batch, Enrolment)
        .join(Launch, col(Launch.id) == col(Enrolment.launch_id))
        .where(
            col(Enrolment.contact_id) == contact_id,
            col(Message.state) == MessageState.HELD,
            col(Message.reason).startswith(HoldReason.CARE_FIRST.prefix),
            col(Launch.state).in_(["running", "finished"]),
        )
    )


def _resume_held(session: Session, contact_id: int, actor: str, now: datetime) -> int:
    """Put held messages back into the queue, where every guard is asked once more."""
    resumed = 0
    for message, launch, batch, passage in session.execute(_held_for_care(contact_id)).all():
        meant = batch.due_at if batch else passage.ended_at or passage.due_at
        if (now - meant).days > RESUME_DAYS:
            continue
        late_at = meant + timedelta(seconds=launch.late_after) if launch.late_after else None
        locale, variant, wording_hash = (
            (batch.locale, batch.variant, batch.wording)
            if batch
            else _wording_for(session, launch, message, contact_id)
        )
        again = Batch(
            launch_id=launch.id,
            step=message.step,
            medium=message.medium,
            locale=locale,
            variant=variant,
            wording=wording_hash,
            number=_next_number(session, launch, message),
            size=1,
            due_at=now,
            late_at=batch.late_at if batch else late_at,
        )
        session.add(again)
        session.flush()
        message.batch_id, message.state, message.reason = again.id, None, None
        launch.state, launch.finished_at = "running", None
        session.flush()
        resumed += 1
    if resumed:
        audit(session, now, actor, "resumed", f"contact:{contact_id}", messages=resumed)
    return resumed


def _wording_for(session: Session, launch: Launch, message: Message, contact_id: int) -> tuple[str, str, str]:
    """Return the locale, the variant and the hash of the wording for a contact who was held before a batch was made
    for them."""
    wordings = StepWordings.for_medium(launch.content, launch.content["steps"][message.step], message.medium)
    chosen = select(wordings.locale_column(), wordings.variant_column(), wordings.hash_column()).where(
        col(Contact.id) == contact_id
    )
    locale, variant, wording_hash = session.execute(chosen).one()
    return str(locale), str(variant), str(wording_hash)


def _next_number(session: Session, launch: Launch, message: Message) -> int:
    session.execute(select(col(Launch.id)).where(col(Launch.id) == launch.id).with_for_update())
    numbers = select(col(Batch.number)).where(
        col(Batch.launch_id) == launch.id, col(Batch.step) == message.step, col(Batch.medium) == message.medium
    )
    return max(session.execute(numbers).scalars(), default=-1) + 1
