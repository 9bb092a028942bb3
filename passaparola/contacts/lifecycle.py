"""Lifecycle stages and participation, worked out from activity for everyone in one statement, for audiences.

lifecycle: `lead` allows us to write, no more; `fan` answers, clicks, mentions; `customer` bought; `advocate`, whether
they bought or not, passes the word on (a score of nine or ten, a mention in kind words, a shared post).
participation, the ladder of 90-9-1: `reader`; `contributor` answers, rates, replies; `creator` mentions, shares and
reviews.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, or_, select, update
from sqlmodel import Session, col

from passaparola.store.bulk import execute_update
from passaparola.store.json_values import scalar
from passaparola.store.models import Activity, Contact, Event

SPOKE = ("replied", "survey_answered", "product_reviewed")
MADE = ("mentioned", "shared", "product_reviewed")
TOUCHED = ("clicked", "replied", "mentioned", "liked", "shared", "survey_answered")
A_YEAR = timedelta(days=365)


def refresh_lifecycles(session: Session, promoter_score: float, now: datetime) -> int:
    """Refresh everyone's lifecycle and participation, writing only rows that change. Return how many did.
    `promoter_score`, from 0 to 10, is the one from which on an answer recommends us (policies/care.yaml)."""
    lifecycle, participation = _lifecycle(promoter_score), _participation(now)
    alive = and_(col(Contact.erased_at).is_(None), col(Contact.merged_into).is_(None))
    differs = or_(
        func.coalesce(col(Contact.lifecycle), "") != lifecycle,
        func.coalesce(col(Contact.participation), "") != participation,
    )
    return execute_update(
        session, update(Contact).where(alive, differs).values(lifecycle=lifecycle, participation=participation)
    )


def _lifecycle(promoter_score: float) -> ColumnElement[str]:
    kindly = _has_event_with("mentioned", col(Event.properties)["sentiment"].as_string() == "good")
    recommends = _has_event_with(
        "survey_answered", func.coalesce(scalar(col(Event.properties), "score", "number") >= promoter_score, False)
    )
    return case(
        (or_(recommends, kindly, _has_done("shared")), literal("advocate")),
        (_has_done("order_completed"), literal("customer")),
        (_has_done(*TOUCHED), literal("fan")),
        else_=literal("lead"),
    )


def _participation(now: datetime) -> ColumnElement[str]:
    since = now - A_YEAR
    return case(
        (_has_done(*MADE, since=since), literal("creator")),
        (_has_done(*SPOKE, since=since), literal("contributor")),
        else_=literal("reader"),
    )


def _has_done(*kinds: str, since: datetime | None = None) -> ColumnElement[bool]:
    seen = select(literal(1)).where(col(Activity.contact_id) == col(Contact.id), col(Activity.kind).in_(kinds))
    return exists((seen.where(col(Activity.latest_1) >= since) if since else seen).correlate(Contact))


def _has_event_with(kind: str, what: Any) -> ColumnElement[bool]:
    query = select(literal(1)).where(
        col(Event.contact_id) == col(Contact.id), col(Event.kind) == kind, ~col(Event.machine), what
    )
    return exists(query.correlate(Contact))
