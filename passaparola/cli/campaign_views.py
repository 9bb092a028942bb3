"""Campaigns as tables and sentences: a rehearsal, a report, what came of it."""

from typing import TYPE_CHECKING, Any

from passaparola.cli.output import (
    out,
    table,
    without_markup,
)

if TYPE_CHECKING:
    pass


def show_rehearsal(seen: Any, zone: str) -> None:
    from zoneinfo import ZoneInfo

    out.print(f"[bold]{seen.campaign}[/bold], {seen.days} days from {seen.since:%Y-%m-%d %H:%M}: {seen.people:,} enter")
    for assumed in seen.assumed:
        out.print(f"  assuming that {without_markup(assumed)}")
    rows: dict[tuple[str, str, str, str], int] = {}
    for line in seen.lines:
        day = line.at.astimezone(ZoneInfo(zone)).strftime("%a %d %b %Y")
        what = f"{line.state}: {line.reason}" if line.reason else line.state
        key = (day, line.message, line.medium, what)
        rows[key] = rows.get(key, 0) + line.people
    table(
        [{"day": d, "message": m, "by": by, "people": f"{n:,}", "what": what} for (d, m, by, what), n in rows.items()]
    )
    for (at, medium), count in sorted(seen.per_hour().items(), key=lambda pair: -pair[1])[:3]:
        out.print(f"  busiest: {at.astimezone(ZoneInfo(zone)):%a %d %b %H:00}, {count:,} by {medium}")
    for reason, count in sorted(seen.held_reasons().items(), key=lambda pair: -pair[1]):
        out.print(f"  {count:,} held: {without_markup(reason)}")
    out.print("  " + ", ".join(f"{count:,} {outcome}" for outcome, count in seen.outcomes.items()))
    out.print(f"  cost: {seen.costs}. Nothing was sent.")


def show_report(report: Any) -> None:
    out.print(
        f"Launch {report.launch} of [bold]{report.campaign}[/bold]: {report.state}. {without_markup(report.note)}"
    )
    out.print(f"  audience {report.audience:,}")
    if report.begins:
        from passaparola.clock import format_in_full
        from passaparola.settings import get_settings

        out.print(f"  nothing has gone out yet: it is due on {format_in_full(report.begins, get_settings().time_zone)}")
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


def show_outcome(came: Any) -> None:
    """Show the funnel of people, how sure it is, and what it was worth."""
    for medium, counts in came.media.items():
        rates = came.rates()[medium]
        if counts.left:
            shares = ", ".join(
                f"{getattr(counts, name):,} {name} ({rate.value:.1%}, between {rate.low:.1%} and {rate.high:.1%})"
                for name, rate in rates.items()
                if getattr(counts, name)
            )
            arrived = (
                f"{counts.delivered:,} delivered" if counts.delivery_is_told else "delivered: unknown, nobody tells"
            )
            out.print(f"  {medium}: {arrived}" + (f", {shares}" if shares else ""))
            if counts.machine_opened or counts.machine_clicked:
                out.print(
                    f"    machines, not counted: {counts.machine_opened:,} opened, {counts.machine_clicked:,} clicked"
                )
    if came.lift:
        sure = "" if came.lift.certain else ", which may be chance"
        out.print(
            f"  lift over those held out: {came.lift.value:+.1%} (between {came.lift.low:+.1%} and "
            f"{came.lift.high:+.1%}{sure})"
        )
    if came.orders:
        out.print(f"  orders after a click: {came.orders:,}, worth {came.last_touch / 100:,.2f} {came.currency}")
    if came.cost:
        out.print(
            f"  cost: {came.cost:,.2f} {came.currency}" + (f", ROI {came.roi:+.0%}" if came.roi is not None else "")
        )
