"""What came of a campaign: the funnel of people and, apart, of machines; variants, holdout, revenue, cost.

Counted over all launches of the campaign that are asked for. A person counts once at each stage of a message.
"""

from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Integer, and_, case, cast, func, literal, or_, select
from sqlmodel import Session, col

from passaparola.errors import Unknown
from passaparola.reports.statistics import Interval, difference_interval, mean_difference_interval, share_interval
from passaparola.settings import Settings
from passaparola.store.models import Batch, Enrolment, Event, Launch, Message, message_state
from passaparola.store.types import add_seconds

STAGES = ("delivered", "opened", "clicked", "answered")
AFTER_EFFECTS = ("bounced", "complained", "unsubscribed")
FACTS = ("left", "reached", *STAGES, *AFTER_EFFECTS, "machine_opened", "machine_clicked")
ANSWERS = {"replied": "answered", "survey_answered": "answered"}
ATTRIBUTION_WINDOW = timedelta(days=7)
DEFAULT_GOAL_WINDOW = timedelta(days=30)  # how long after entering a purchase counts, where the campaign has no goal


@dataclass
class FunnelCounts:
    """Of one medium, or of one variant of a message on it.

    `left` are the messages that went out: recorded as sent, or something came back of them already. `reached` are
    those that arrived: delivered, or somebody (a machine, too) did something with them. Facts may come before
    ours is recorded, and a person's click before the provider tells of the delivery; a share is always of one of
    these two.
    """

    planned: int = 0
    sent: int = 0
    left: int = 0
    reached: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    answered: int = 0
    bounced: int = 0
    complained: int = 0
    unsubscribed: int = 0
    machine_opened: int = 0
    machine_clicked: int = 0

    def add(self, row: Any) -> None:
        self.planned += row.messages
        self.sent += row.messages if row.state == "sent" else 0
        for name in FACTS:
            setattr(self, name, getattr(self, name) + int(getattr(row, name) or 0))

    @property
    def reports_delivery(self) -> bool:
        """Return whether anybody tells of deliveries: a mailbox and plain SMTP never do, a provider not in the first
        seconds."""
        return self.delivered > 0 or 0 < self.left <= self.bounced

    def base(self, stage: str) -> int:
        """Return what a share of this stage is of: bounces of all that went out, what people did of all that
        arrived."""
        return self.left if stage == "bounced" or not self.reports_delivery else self.reached

    def as_json(self) -> dict[str, Any]:
        """Dump plain values. `delivered` is null where nobody tells of it."""
        return asdict(self) | {"delivered": self.delivered if self.reports_delivery else None}


@dataclass
class TestGroup:
    """Those who were written to, or those held out: how many, who reached the goal, what they spent in minor units."""

    people: int = 0
    goal: int = 0
    revenue: int = 0
    squares: float = 0.0


@dataclass
class CampaignReport:
    campaign: str
    launches: list[int]
    currency: str
    media: dict[str, FunnelCounts] = field(default_factory=dict)
    variants: dict[str, dict[str, FunnelCounts]] = field(default_factory=dict)  # message on a medium → variant → counts
    held: dict[str, int] = field(default_factory=dict)
    written_to: TestGroup = field(default_factory=TestGroup)
    held_out: TestGroup = field(default_factory=TestGroup)
    last_touch: int = 0  # revenue within a week of someone's last click, minor units
    orders: int = 0
    costs: dict[str, float] = field(default_factory=dict)  # per medium, in the house currency

    @property
    def lift(self) -> Interval | None:
        """Return how many more of those written to reached the goal than of those held out."""
        if not self.held_out.people:
            return None
        return difference_interval(
            self.written_to.goal, self.written_to.people, self.held_out.goal, self.held_out.people
        )

    @property
    def incremental(self) -> Interval | None:
        """Return revenue that there would not have been, minor units."""
        one, two = self.written_to, self.held_out
        if min(one.people, two.people) < 2:
            return None
        each = mean_difference_interval(one.people, one.revenue, one.squares, two.people, two.revenue, two.squares)
        return Interval(each.value * one.people, each.low * one.people, each.high * one.people)

    @property
    def cost(self) -> float:
        return sum(self.costs.values())

    @property
    def roi(self) -> float | None:
        """Return what came back for each coin spent, beyond the coin; by increment where it is known, else by last
        touch."""
        if not self.cost:
            return None
        gained = self.incremental.value if self.incremental else self.last_touch
        return (gained / 100 - self.cost) / self.cost

    def rates(self) -> dict[str, dict[str, Interval]]:
        """Return per medium and stage, each of a base that fits."""
        return {
            medium: {
                name: share_interval(getattr(counts, name), counts.base(name)) for name in (*STAGES[1:], *AFTER_EFFECTS)
            }
            for medium, counts in self.media.items()
        }

    def winners(self) -> dict[str, dict[str, Any]]:
        """Return each message's variants compared by clicks; the better one is named only where that is sure."""
        found = {}
        for message, variants in self.variants.items():
            if len(variants) < 2:
                continue
            (best, one), (next_, two), *_ = sorted(
                variants.items(), key=lambda pair: -(pair[1].clicked / max(1, pair[1].base("clicked")))
            )
            gap = difference_interval(one.clicked, one.base("clicked"), two.clicked, two.base("clicked"))
            found[message] = {"best": best, "next": next_, "difference": gap.as_json(), "certain": gap.is_certain}
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign,
            "launches": self.launches,
            "currency": self.currency,
            "media": {name: counts.as_json() for name, counts in self.media.items()},
            "rates": {m: {name: rate.as_json() for name, rate in rates.items()} for m, rates in self.rates().items()},
            "variants": {m: {v: counts.as_json() for v, counts in found.items()} for m, found in self.variants.items()},
            "winners": self.winners(),
            "held": self.held,
            "written_to": asdict(self.written_to),
            "held_out": asdict(self.held_out),
            "lift": self.lift.as_json() if self.lift else None,
            "incremental": self.incremental.as_json() if self.incremental else None,
            "last_touch": self.last_touch,
            "orders": self.orders,
            "costs": self.costs,
            "roi": self.roi,
        }


def build_report(session: Session, settings: Settings, campaign: str, launch: int | None = None) -> CampaignReport:
    """Build the report of one launch, or of all that ever went out. Of one launch, or of all that ever went out.
    Raises Unknown."""
    never_began = and_(col(Launch.state) == "recalled", col(Launch.started_at).is_(None))
    chosen = select(Launch).where(col(Launch.campaign) == campaign, col(Launch.state) != "prepared")
    chosen = chosen if launch else chosen.where(~never_began)
    launches = list(session.execute(chosen.where(col(Launch.id) == launch) if launch else chosen).scalars())
    if not launches:
        raise Unknown(f"“{campaign}” has not been launched yet.")
    ids = [one.id for one in launches if one.id is not None]
    report = CampaignReport(campaign, ids, settings.currency)
    steps = {(one.id, n): step.get("say", "") for one in launches for n, step in enumerate(one.content["steps"])}
    for row in session.execute(_message_facts(ids)):
        if row.state == "held":
            report.held[row.reason or ""] = report.held.get(row.reason or "", 0) + row.messages
        report.media.setdefault(row.medium, FunnelCounts()).add(row)
        if row.variant:
            message = f"{steps.get((row.launch_id, row.step), '')} by {row.medium}"
            report.variants.setdefault(message, {}).setdefault(row.variant, FunnelCounts()).add(row)
    _compare_groups(session, settings, launches, report)
    report.last_touch, report.orders = _attribute_orders(session, settings, ids)
    prices = settings.message_costs
    report.costs = {m: round(counts.sent * prices[m], 2) for m, counts in report.media.items() if prices.get(m)}
    return report


def _message_facts(ids: list[int]) -> Any:
    """Return every message once, with what came back of it, counted by how it went out."""
    mine = select(col(Enrolment.id)).where(col(Enrolment.launch_id).in_(ids))

    def any_of(*kinds: str, machine: bool | None = False) -> Any:
        of = col(Event.kind).in_(kinds)
        met = of if machine is None else and_(of, col(Event.machine).is_(machine))
        return func.max(case((met, 1), else_=0))

    answers = [kind for kind, stage in ANSWERS.items() if stage == "answered"]
    arrived = ("delivered", "opened", "clicked", *answers, "complained", "unsubscribed")
    facts = (
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
    state = message_state()
    left = case((or_(state == "sent", facts.c.enrolment_id.is_not(None)), 1), else_=0).label("left")
    sums = (
        func.sum(left).label("left"),
        *(func.sum(getattr(facts.c, name)).label(name) for name in FACTS if name != "left"),
    )
    reason = case((state == "held", col(Message.reason)), else_=None)
    return (
        select(
            col(Enrolment.launch_id),
            col(Message.step),
            col(Message.medium),
            col(Batch.variant),
            state.label("state"),
            reason.label("reason"),
            func.count().label("messages"),
            *sums,
        )
        .join(Enrolment, col(Enrolment.id) == col(Message.enrolment_id))
        .outerjoin(Batch, col(Batch.id) == col(Message.batch_id))
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


def _compare_groups(session: Session, settings: Settings, launches: list[Launch], report: CampaignReport) -> None:
    """Compare groups. Everyone who entered, by whether they were held out: the difference between the two is the
    campaign's own doing."""
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


def _attribute_orders(session: Session, settings: Settings, ids: list[int]) -> tuple[int, int]:
    """Return orders whose person's last click before, within a week, was in one of these launches."""
    click = Event.__table__.alias("click")  # type: ignore[attr-defined]
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
