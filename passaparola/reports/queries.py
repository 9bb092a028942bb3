"""The statements behind a campaign's report: facts by message, groups compared, orders attributed."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Integer, and_, case, cast, func, literal, or_, select
from sqlmodel import Session, col

from passaparola.reports.figures import ANSWERS, FACTS, CampaignReport
from passaparola.settings import Settings
from passaparola.store.bulk import table_of
from passaparola.store.models import Batch, Enrolment, Event, Launch, Message, message_state, select_messages
from passaparola.store.states import MessageState
from passaparola.store.types import add_seconds

ATTRIBUTION_WINDOW = timedelta(days=7)


DEFAULT_GOAL_WINDOW = timedelta(days=30)  # how long after entering a purchase counts, where the campaign has no goal


def _facts_by_message(ids: list[int]) -> Any:
    """Build the query of what came back of each message: 1 where a fact is there."""
    mine = select(col(Enrolment.id)).where(col(Enrolment.launch_id).in_(ids))

    def any_of(*kinds: str, machine: bool | None = False) -> Any:
        of = col(Event.kind).in_(kinds)
        met = of if machine is None else and_(of, col(Event.machine).is_(machine))
        return func.max(case((met, 1), else_=0))

    answers = [kind for kind, stage in ANSWERS.items() if stage == "answered"]
    arrived = ("delivered", "opened", "clicked", *answers, "complained", "unsubscribed")
    return (
        select(
            col(Event.enrolment_id).label("enrolment_id"),
            col(Event.step).label("step"),
            col(Event.medium).label("medium"),
            any_of("delivered").label("delivered"),
            any_of("opened").label("opened"),
            any_of("clicked").label("clicked"),
            any_of(*answers).label("answered"),
            any_of("bounced").label("bounced"),
            any_of("complained").label("complained"),
            any_of("unsubscribed").label("unsubscribed"),
            any_of("opened", machine=True).label("machine_opened"),
            any_of("clicked", machine=True).label("machine_clicked"),
            any_of(*arrived, machine=None).label("reached"),
        )
        .where(col(Event.enrolment_id).in_(mine))
        .group_by(col(Event.enrolment_id), col(Event.step), col(Event.medium))
        .subquery()
    )


def message_facts(ids: list[int]) -> Any:
    """Return every message once, with what came back of it, counted by how it went out."""
    facts = _facts_by_message(ids)
    state = message_state()
    left = case((or_(state == MessageState.SENT, facts.c.enrolment_id.is_not(None)), 1), else_=0).label("left")
    sums = (
        func.sum(left).label("left"),
        *(func.sum(getattr(facts.c, name)).label(name) for name in FACTS if name != "left"),
    )
    reason = case((state == MessageState.HELD, col(Message.reason)), else_=None)
    return (
        select_messages(
            col(Enrolment.launch_id),
            col(Message.step),
            col(Message.medium),
            col(Batch.variant),
            state.label("state"),
            reason.label("reason"),
            func.count().label("messages"),
            *sums,
        )
        .outerjoin(
            facts,
            and_(
                facts.c.enrolment_id == col(Message.enrolment_id),
                facts.c.step == col(Message.step),
                facts.c.medium == col(Message.medium),
            ),
        )
        .where(col(Enrolment.launch_id).in_(ids), col(Enrolment.contact_id).is_not(None))
        .group_by(col(Enrolment.launch_id), col(Message.step), col(Message.medium), col(Batch.variant), state, reason)
    )


def compare_groups(session: Session, settings: Settings, launches: list[Launch], report: CampaignReport) -> None:
    """Compare everyone who entered by whether they were held out: the difference between the two is the campaign's
    own doing."""
    for launch in launches:
        goal = launch.content.get("goal") or {}
        window = int(goal.get("within") or DEFAULT_GOAL_WINDOW.total_seconds())
        spent = (
            select(func.coalesce(func.sum(col(Event.amount)), 0))
            .where(
                col(Event.contact_id) == col(Enrolment.contact_id),
                col(Event.kind) == "order_completed",
                col(Event.currency) == settings.currency,
                col(Event.at) > col(Enrolment.entered_at),
                col(Event.at) <= add_seconds(col(Enrolment.entered_at), window),
                col(Event.id) != func.coalesce(col(Enrolment.event_id), -1),
            )
            .correlate(Enrolment)
            .scalar_subquery()
        )
        each = (
            select(
                col(Enrolment.holdout).label("holdout"),
                cast(col(Enrolment.goal_at).is_not(None), Integer).label("goal"),
                spent.label("spent"),
            )
            .where(col(Enrolment.launch_id) == launch.id, col(Enrolment.contact_id).is_not(None))
            .subquery()
        )
        squared = each.c.spent * literal(1.0) * each.c.spent
        rows = session.execute(
            select(
                each.c.holdout, func.count(), func.sum(each.c.goal), func.sum(each.c.spent), func.sum(squared)
            ).group_by(each.c.holdout)
        )
        for holdout, people, reached, revenue, squares in rows:
            group = report.held_out if holdout else report.written_to
            group.people += people
            group.goal += int(reached or 0)
            group.revenue += int(revenue or 0)
            group.squares += float(squares or 0)


def attribute_orders(session: Session, settings: Settings, ids: list[int]) -> tuple[int, int]:
    """Return orders whose contact's last click before, within a week, was in one of these launches."""
    click = table_of(Event).alias("click")
    last = (
        select(click.c.enrolment_id)
        .where(
            click.c.contact_id == col(Event.contact_id),
            click.c.kind == "clicked",
            ~click.c.machine,
            click.c.at <= col(Event.at),
            click.c.at >= add_seconds(col(Event.at), -int(ATTRIBUTION_WINDOW.total_seconds())),
            click.c.enrolment_id.is_not(None),
        )
        .order_by(click.c.at.desc(), click.c.id.desc())
        .limit(1)
        .correlate(Event)
        .scalar_subquery()
    )
    mine = select(col(Enrolment.id)).where(col(Enrolment.launch_id).in_(ids))
    clickers = select(col(Event.contact_id)).where(
        col(Event.enrolment_id).in_(mine), col(Event.kind) == "clicked", ~col(Event.machine)
    )
    orders = select(func.coalesce(func.sum(col(Event.amount)), 0), func.count()).where(
        col(Event.kind) == "order_completed",
        col(Event.currency) == settings.currency,
        col(Event.contact_id).in_(clickers.scalar_subquery()),
        last.in_(mine),
    )
    revenue, count = session.execute(orders).one()
    return int(revenue), int(count)
