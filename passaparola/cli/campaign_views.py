"""Campaigns as tables and sentences: a rehearsal, a report, what came of it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from passaparola.cli.output import out, print_table, without_markup
from passaparola.clock import format_in_full

if TYPE_CHECKING:
    from passaparola.journeys.status import LaunchStatus
    from passaparola.journeys.versions import Move
    from passaparola.outbox.ledger import LaunchTally
    from passaparola.rehearsal.result import Rehearsal
    from passaparola.reports.figures import CampaignReport, FunnelCounts
    from passaparola.reports.statistics import Interval


def show_rehearsal(seen: "Rehearsal", zone: str) -> None:
    out.print(f"[bold]{seen.campaign}[/bold], {seen.days} days from {seen.since:%Y-%m-%d %H:%M}: {seen.people:,} enter")
    for assumed in seen.assumed:
        out.print(f"  assuming that {without_markup(assumed)}")
    rows: dict[tuple[str, str, str, str], int] = {}
    for line in seen.lines:
        day = line.at.astimezone(ZoneInfo(zone)).strftime("%a %d %b %Y")
        what = f"{line.state}: {line.reason}" if line.reason else line.state
        key = (day, line.message, line.medium, what)
        rows[key] = rows.get(key, 0) + line.people
    print_table(
        [{"day": d, "message": m, "by": by, "people": f"{n:,}", "what": what} for (d, m, by, what), n in rows.items()]
    )
    for (at, medium), count in sorted(seen.per_hour().items(), key=lambda pair: -pair[1])[:3]:
        out.print(f"  busiest: {at.astimezone(ZoneInfo(zone)):%a %d %b %H:00}, {count:,} by {medium}")
    for reason, count in sorted(seen.held_reasons().items(), key=lambda pair: -pair[1]):
        out.print(f"  {count:,} held: {without_markup(reason)}")
    out.print("  " + ", ".join(f"{count:,} {outcome}" for outcome, count in seen.outcomes.items()))
    out.print(f"  cost: {seen.costs}. Nothing was sent.")


def show_report(report: "LaunchTally", zone: str) -> None:
    out.print(
        f"Launch {report.launch} of [bold]{report.campaign}[/bold]: {report.state}. {without_markup(report.note)}"
    )
    out.print(f"  audience {report.audience:,}")
    if report.begins:
        out.print(f"  nothing has gone out yet: it is due on {format_in_full(report.begins, zone)}")
    for medium, counts in report.media.items():
        out.print(f"  {medium}: " + ", ".join(f"{counts[state]:,} {state}" for state in counts))
    for post in report.posts:
        out.print(f"  {post.medium} post: {without_markup(str(post))}")
    for medium, why in report.paused.items():
        out.print(f"  {medium} waits: {without_markup(why)}")
    for reason, count in sorted(report.delayed.items(), key=lambda pair: -pair[1]):
        out.print(f"    {count:,} delayed: {without_markup(reason)}")
    for reason, count in sorted(report.reasons.items(), key=lambda pair: -pair[1]):
        out.print(f"    {count:,} {without_markup(reason)}")


def show_outcome(outcome: "CampaignReport") -> None:
    """Show the funnel of people, how sure it is, and what it was worth."""
    for medium, counts in outcome.media.items():
        if counts.left:
            _show_funnel(medium, counts, outcome.rates()[medium])
    if lift := outcome.lift:
        sure = "" if lift.is_certain else ", which may be chance"
        between = f"between {lift.low:+.1%} and {lift.high:+.1%}{sure}"
        out.print(f"  lift over those held out: {lift.value:+.1%} ({between})")
    if outcome.orders:
        worth = f"{outcome.last_touch / 100:,.2f} {outcome.currency}"
        out.print(f"  orders after a click: {outcome.orders:,}, worth {worth}")
    if outcome.cost:
        roi = f", ROI {outcome.roi:+.0%}" if outcome.roi is not None else ""
        out.print(f"  cost: {outcome.cost:,.2f} {outcome.currency}{roi}")


def _show_funnel(medium: str, counts: "FunnelCounts", rates: "Mapping[str, Interval]") -> None:
    arrived = f"{counts.delivered:,} delivered" if counts.reports_delivery else "delivered: unknown, nobody reports it"
    shares = [
        f"{count:,} {name} ({rate.value:.1%}, between {rate.low:.1%} and {rate.high:.1%})"
        for name, rate in rates.items()
        if (count := getattr(counts, name))
    ]
    out.print(f"  {medium}: {', '.join([arrived, *shares])}")
    if counts.machine_opened or counts.machine_clicked:
        opened, clicked = counts.machine_opened, counts.machine_clicked
        out.print(f"    machines, not counted: {opened:,} opened, {clicked:,} clicked")


def show_statuses(statuses: "Sequence[LaunchStatus]", format_time: Callable[[datetime], str]) -> None:
    """Show who is where in each launch."""
    for status in statuses:
        accepting = ", accepting people" if status.accepting else ""
        note = without_markup(status.note)
        out.print(f"Launch {status.launch} of [bold]{status.campaign}[/bold]: {status.state}{accepting}. {note}")
        ended = "".join(f", {count:,} {how}" for how, count in status.ended.items())
        out.print(f"  {status.entered:,} entered: {status.under_way:,} under way{ended}; {status.held_out:,} held out")
        out.print(f"  goal: {status.goal:,} of those written to, {status.goal_of_held_out:,} of those held out")
        for step in status.steps:
            due = format_time(step["earliest"]) if step["earliest"] else ""
            out.print(f"  {step['people']:,} at step {step['step']}, {step['next']}; the next at {due}")


def show_move(plan: "Move") -> None:
    """Show where the people of each older version go on."""
    for part in plan.parts:
        there = f"step {part['to_step'] + 1} of launch {plan.to}, " if part["to_step"] is not None else ""
        before = f"{part['people']:,} in launch {part['launch']} before “{part['now']}”"
        out.print(f"  {before} → {there}{part['then']}")
