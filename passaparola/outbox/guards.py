"""The reasons not to send, in order; the first one is written to the message in a marketer's words.

They are one SQL expression over (enrolment, contact, address), so that a preview, a plan and a reservation ask the
very same question, the last of them in the transaction that reserves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, case, func, literal, null, select
from sqlmodel import Session, col

from passaparola.channel import registry
from passaparola.contacts.audience.compile import latest_consent
from passaparola.conversations.care import BLOCKS_MARKETING
from passaparola.outbox import repeats
from passaparola.outbox.contact_messages import pending_messages, recent_messages
from passaparola.outbox.reasons import HoldReason
from passaparola.outbox.wordings import StepWordings
from passaparola.settings import Settings
from passaparola.store.models import (
    Address,
    Contact,
    Conversation,
    Launch,
    Suppression,
    Turn,
)
from passaparola.store.types import UtcDateTime


@dataclass(frozen=True)
class FrequencyCap:
    """The most marketing messages one contact gets in a span, over all campaigns and media."""

    most: int
    days: int

    @classmethod
    def from_settings(cls, settings: Settings) -> "FrequencyCap | None":
        if not settings.frequency_cap:
            return None
        most, _, days, _ = settings.frequency_cap.split()
        return cls(int(most), int(days))


@dataclass(frozen=True)
class GuardContext:
    """What is about to be sent: on a medium, about a topic. `twin_of` is the launch that sends it, where another
    one has the same words; 0 where none has, so that the statement is written once for all launches."""

    medium: str
    topic: str
    twin_of: int = 0
    before: tuple[int, ...] = ()  # launches that go first where people are capped
    answers: bool = False  # it answers what they asked or said, so it is no marketing
    window: timedelta | None = None  # how long after their last word on this medium it may be said

    @classmethod
    def for_step(cls, session: Session, launch: Launch, medium: str, step: int) -> "GuardContext":
        return cls.with_repeats(
            session, launch.content, medium, launch.content["steps"][step], launch.id or repeats.LAST_LAUNCH
        )

    @classmethod
    def with_repeats(
        cls, session: Session, content: Mapping[str, Any], medium: str, step: Mapping[str, Any], itself: int
    ) -> "GuardContext":
        """Build the context of a launch that is not there yet: `content` is what would be frozen, `itself` then is
        repeats.LAST_LAUNCH."""
        others = select(col(Launch.id)).where(col(Launch.id) != itself)
        before = others.where(col(Launch.priority) > content["priority"], col(Launch.state) == "running")
        answers = content.get("basis") == "transactional"
        reads = StepWordings.for_medium(content, step, medium).reads.values() if content["said_once"] else ()
        window = _window(content, medium, step["say"])
        twin_of = itself if repeats.have_repeats(session, reads, itself) else 0
        return cls(medium, content["topic"], twin_of, _ids(session, before), answers, window)


def _window(content: Mapping[str, Any], medium: str, say: str) -> timedelta | None:
    """Return the network's reply window; None where it sets none, or has approved the template."""
    spoken = (
        wordings
        for key, wordings in content["messages"].items()
        if key.startswith(f"{say}/") and key.endswith(f"/{medium}")
    )
    approved = all(wording.get("template") for wordings in spoken for wording in wordings.values())
    return None if approved else registry.reply_window_of(medium)


def _ids(session: Session, chosen: Select[Any]) -> tuple[int, ...]:
    return tuple(session.execute(chosen).scalars())


def too_late(seconds: int) -> str:
    hours = round(seconds / 3600, 1)
    return HoldReason.TOO_LATE.text(allowed=f"{hours:g} hour{'' if hours == 1 else 's'}")


def guard_instants(context: GuardContext, cap: FrequencyCap | None, now: datetime) -> dict[str, Any]:
    """Compute the instants that `hold_reason` has as parameters, so that its statement is built once for every
    batch."""
    return {
        "read": "",
        "now": now,
        "a_week_ago": now - timedelta(days=7),
        "capped_since": now - timedelta(days=cap.days if cap else 0),
        "open_since": now - (context.window or timedelta(0)),
    }


def _instant(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=UtcDateTime())


def hold_reason(
    context: GuardContext, cap: FrequencyCap | None, wording: ColumnElement[str] | None = None, *, settled: bool = False
) -> ColumnElement[Any]:
    """Build the expression of the first reason to hold a message; NULL for whoever may be written to.

    It takes `guard_instants` as parameters, and the hash of the `wording` where that is one for all of them.
    `settled`: what other launches still have queued does not count, as it may never go out.
    """
    medium, topic = context.medium, context.topic
    consent = latest_consent(col(Contact.id), medium, literal(topic))
    suppressed = select(col(Suppression.reason)).where(col(Suppression.key) == col(Address.key)).scalar_subquery()
    checks: list[tuple[Any, Any]] = [
        (col(Address.value).is_(None), literal(HoldReason.NO_ADDRESS.text(address=_address(medium)))),
        (col(Contact.erased_at).is_not(None), literal(HoldReason.ERASED.text())),
        (suppressed.is_not(None), literal(HoldReason.SUPPRESSED.prefix) + suppressed),
    ]
    if context.window:
        network, hours = registry.branding_of(medium).title, context.window.total_seconds() / 3600
        closed = HoldReason.WINDOW_CLOSED.text(network=network, hours=hours)
        checks.append((~_wrote_since(medium, _instant("open_since")), literal(closed)))
    if context.answers:
        # Of what they ordered or asked for. A letter of the house has no topic; others can be muted by theirs.
        muted = literal(HoldReason.MUTED.text(topic=topic, medium=medium))
        return case(*checks, else_=case({False: muted}, value=consent, else_=null()) if topic else null())
    # One look at consent for both of its reasons: a database asks a subquery as often as it is written.
    said_no = literal(HoldReason.SAID_NO.text(topic=topic, medium=medium))
    unasked = literal(HoldReason.NEVER_SAID_YES.text(topic=topic, medium=medium))
    unwilling = case({True: null(), False: said_no}, value=consent, else_=unasked)
    wishes = _wishes(context, cap, wording, settled)
    return case(*checks, else_=func.coalesce(unwilling, case(*wishes, else_=null())))


def _wishes(
    context: GuardContext, cap: FrequencyCap | None, wording: ColumnElement[str] | None, settled: bool
) -> list[tuple[Any, Any]]:
    """Build the conditions that ask for patience, each with its reason: pauses, care, frequency, repeats, the cap."""
    care, weekly = _open_complaint(), recent_messages(_instant("a_week_ago"))
    wishes: list[tuple[Any, Any]] = [
        (col(Contact.paused_until) > _instant("now"), literal(HoldReason.PAUSED.text())),
        (care.is_not(None), literal(HoldReason.CARE_FIRST.prefix) + care),
        (
            and_(col(Contact.max_per_week).is_not(None), weekly >= col(Contact.max_per_week)),
            literal(HoldReason.WANTS_FEWER.text()),
        ),
    ]
    if context.twin_of:
        wishes += repeats.repeat_reasons(context.medium, context.twin_of, wording, settled=settled)
    if cap:
        recent = recent_messages(_instant("capped_since"))
        wishes.append((recent >= cap.most, literal(HoldReason.FREQUENCY_CAP.text(most=cap.most, days=cap.days))))
        if context.before:
            kept = literal(HoldReason.KEPT_FOR_PRIORITY.text(most=cap.most, days=cap.days))
            wishes.append((recent + pending_messages(context.before) >= cap.most, kept))
    return wishes


def _address(medium: str) -> str:
    kind = registry.address_kind(medium)
    return f"{kind} address" if kind == medium else f"{kind} number"


def _wrote_since(medium: str, since: BindParameter[datetime]) -> ColumnElement[bool]:
    """Return whether they said something on a medium since then."""
    query = (
        select(literal(1))
        .select_from(Conversation)
        .join(Turn, col(Turn.conversation_id) == col(Conversation.id))
        .where(
            col(Conversation.contact_id) == col(Contact.id),
            col(Conversation.medium) == medium,
            col(Turn.author) == "",
            col(Turn.at) >= since,
            col(Conversation.source) != "survey",
        )
    )
    return query.correlate(Contact).exists()


def _open_complaint() -> ColumnElement[Any]:
    """Return the kind of the contact's open complaint, request or low score, which goes before any selling; NULL
    where none is open."""
    open_ = select(func.replace(col(Conversation.kind), "_", " ")).where(
        col(Conversation.contact_id) == col(Contact.id),
        col(Conversation.state) != "closed",
        col(Conversation.kind).in_(BLOCKS_MARKETING),
    )
    return open_.order_by(col(Conversation.priority).desc()).limit(1).correlate(Contact).scalar_subquery()


def address_written_to(medium: str) -> ColumnElement[bool]:
    """Return the join condition of the address that is written to."""
    kind = registry.address_kind(medium)
    return and_(col(Address.contact_id) == col(Contact.id), col(Address.medium) == kind, col(Address.rank) == 0)
