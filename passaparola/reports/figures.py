"""The figures of a campaign's report: funnels by medium and variant, groups compared, lift, money."""

from dataclasses import asdict, dataclass, field
from typing import Any

from passaparola.reports.statistics import Interval, difference_interval, mean_difference_interval, share_interval
from passaparola.store.states import MessageState

STAGES = ("delivered", "opened", "clicked", "answered")


AFTER_EFFECTS = ("bounced", "complained", "unsubscribed")


FACTS = ("left", "reached", *STAGES, *AFTER_EFFECTS, "machine_opened", "machine_clicked")


ANSWERS = {"replied": "answered", "survey_answered": "answered"}


@dataclass
class FunnelCounts:
    """Counts of one medium, or of one variant of a message on it.

    `left` are the messages that went out: recorded as sent, or something came back of them already. `reached` are
    those that arrived: delivered, or somebody (a machine, too) did something with them. Facts may come before ours
    is recorded, and a person's click before the provider reports the delivery; a share is always of one of these
    two.
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
        self.sent += row.messages if row.state == MessageState.SENT else 0
        for name in FACTS:
            setattr(self, name, getattr(self, name) + int(getattr(row, name) or 0))

    @property
    def reports_delivery(self) -> bool:
        """Return whether anybody reports deliveries: a mailbox and plain SMTP never do, a provider not in the first
        seconds."""
        return self.delivered > 0 or 0 < self.left <= self.bounced

    def base(self, stage: str) -> int:
        """Return what a share of this stage is of: bounces of all that went out, actions of all that arrived."""
        return self.left if stage == "bounced" or not self.reports_delivery else self.reached

    def as_json(self) -> dict[str, Any]:
        """Dump plain values. `delivered` is null where nobody reports it."""
        return asdict(self) | {"delivered": self.delivered if self.reports_delivery else None}


@dataclass
class ComparisonGroup:
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
    written_to: ComparisonGroup = field(default_factory=ComparisonGroup)
    held_out: ComparisonGroup = field(default_factory=ComparisonGroup)
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
        written, held = self.written_to, self.held_out
        if min(written.people, held.people) < 2:
            return None
        each = mean_difference_interval(
            written.people, written.revenue, written.squares, held.people, held.revenue, held.squares
        )
        return Interval(each.value * written.people, each.low * written.people, each.high * written.people)

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
        """Return the share of each stage with its interval, by medium."""
        return {
            medium: {
                name: share_interval(getattr(counts, name), counts.base(name)) for name in (*STAGES[1:], *AFTER_EFFECTS)
            }
            for medium, counts in self.media.items()
        }

    def winners(self) -> dict[str, dict[str, Any]]:
        """Compare each message's variants by clicks; the better one is named only where that is sure."""
        winners = {}
        for message, variants in self.variants.items():
            if len(variants) < 2:
                continue
            (best, first), (next_, second), *_ = sorted(
                variants.items(), key=lambda pair: -(pair[1].clicked / max(1, pair[1].base("clicked")))
            )
            gap = difference_interval(first.clicked, first.base("clicked"), second.clicked, second.base("clicked"))
            winners[message] = {"best": best, "next": next_, "difference": gap.as_json(), "certain": gap.is_certain}
        return winners

    def as_json(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign,
            "launches": self.launches,
            "currency": self.currency,
            "media": {name: counts.as_json() for name, counts in self.media.items()},
            "rates": {m: {name: rate.as_json() for name, rate in rates.items()} for m, rates in self.rates().items()},
            "variants": {
                m: {v: counts.as_json() for v, counts in variants.items()} for m, variants in self.variants.items()
            },
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
