"""What buttons show on Prefect's pages: previews, reports and rehearsals as artifacts. Counts only, no name and no
address."""

import asyncio
from datetime import datetime
from html import escape
from typing import Any

from prefect.artifacts import acreate_markdown_artifact

from passaparola import clock
from passaparola.channel.registry import branding_of
from passaparola.flows._run import house_now, open_store
from passaparola.journeys.freeze import freeze_now
from passaparola.outbox import ledger
from passaparola.outbox.preview import Preview, build_preview
from passaparola.outbox.render.frozen import freezer
from passaparola.rehearsal import Rehearsal
from passaparola.reports import campaign as report
from passaparola.reports import figures
from passaparola.reports.pictures import COLOURS, chart_svg, funnel_chart, screenshot_pages
from passaparola.settings import Settings
from passaparola.store.database import Store


async def show_preview(name: str) -> Preview:
    """Show a preview as an artifact: counts, the reasons, and every wording as one of the cast would see it."""
    settings, store = open_store()
    content = await asyncio.to_thread(freeze_now, store, settings, name, freezer(settings))
    seen = await asyncio.to_thread(build_preview, store, settings, content, house_now(settings))
    emails = [sample for sample in seen.samples if sample.html]
    pictures = await screenshot_pages([sample.html for sample in emails])
    lines = [f"## {seen.title}", preview_table(seen)]
    for place, sample in enumerate(emails):
        link = f"{settings.public_url}/preview/{seen.campaign}/{sample.message}/{sample.medium}/{sample.locale}"
        lines.append(f"### {sample.medium}, {sample.locale}: {sample.subject}\n\n[Open it in the browser]({link})\n")
        if pictures:
            lines.append(f"![the letter as a phone shows it]({pictures[place]})\n")
    for sample in seen.samples:
        if not sample.html:
            quoted = "\n".join(f"> {line}" for line in sample.text.splitlines())
            media = "".join(f"\n>\n> *picture: {alt}*" for _, alt, _ in sample.media)
            lines.append(f"### {sample.medium}, {sample.locale} ({sample.note})\n\n{quoted}{media}\n")
    await acreate_markdown_artifact(
        "\n\n".join(lines), key=f"preview-{name.replace('_', '-')}", description=f"Preview of {name}"
    )
    return seen


def preview_table(seen: Preview) -> str:
    """Build the table of who gets it, who does not and why, and the cost."""
    rows = [f"| in the audience “{seen.audience}” | {seen.enrolled:,} |"]
    for medium, counts in seen.media.items():
        rows.append(f"| **would get it by {medium}** ({seen.channels[medium]}) | **{counts.get('', 0):,}** |")
        rows += [f"| not: {reason} | {count:,} |" for reason, count in sorted(counts.items()) if reason]
    rows += [f"| one public post on {m} ({seen.channels[m]}) | 1 |" for m in seen.channels if m not in seen.media]
    rows.append(f"| cost | {seen.costs} |")
    return "| | people |\n|---|---:|\n" + "\n".join(rows)


async def show_report(store: Store, launch: int, settings: Settings) -> dict[str, Any]:
    """Show a launch's ledger as an artifact; returns its counts."""
    with store.read() as session:
        tally = ledger.tally_launch(session, launch).as_json()
        came = report.build_report(session, settings, tally["campaign"], launch)
    steps = [(name, tally[name]) for name in ("audience", "sent", "held", "failed", "unknown")]
    reasons = "\n".join(
        f"| {reason} | {count:,} |" for reason, count in sorted(tally["reasons"].items(), key=lambda pair: -pair[1])
    )
    posts = "\n".join(
        f"| post on {branding_of(post['medium']).title} | {post['state']} {post['reason']} {post['url']} |"
        for post in tally["posts"]
    )
    key = f"report-{tally['campaign'].replace('_', '-')}"
    await acreate_markdown_artifact(
        f"## {tally['campaign']}, launch {launch}: {tally['state']}\n\n![funnel]({funnel_chart(steps)})\n\n"
        f"| | |\n|---|---:|\n" + "\n".join(f"| {name} | {count:,} |" for name, count in steps) + f"\n{posts}\n\n"
        f"### Why not\n\n| reason | people |\n|---|---:|\n{reasons or f'| {_no_reason(tally, settings)} | |'}\n"
        f"{_outcome(came)}\n[Everything about it in the "
        f"console]({settings.public_url}/console/campaigns/{tally['campaign']})\n",
        key=key,
        description=f"Report of {tally['campaign']}",
    )
    return tally


def _no_reason(tally: dict[str, Any], settings: Settings) -> str:
    """Explain why there is no reason in the table: all of it went out, or nothing has begun."""
    if tally["begins"]:
        return (
            "nothing has gone out yet: it is due on "
            f"{clock.format_in_full(datetime.fromisoformat(tally['begins']), settings.time_zone)}"
        )
    return "everyone got it" if tally["sent"] and not tally["waiting"] else "nothing speaks against it so far"


def _outcome(came: figures.CampaignReport) -> str:
    """Build the table of what came back, in counts; nobody's name."""
    rows = [
        f"| {medium} | {counts.delivered if counts.reports_delivery else 'unknown'} | {counts.opened:,} | "
        f"{counts.clicked:,} | {counts.answered:,} | {counts.bounced:,} | "
        f"{counts.machine_opened + counts.machine_clicked:,} |"
        for medium, counts in came.media.items()
    ]
    lift = (
        f"\nLift over those held out: {came.lift.value:+.1%}, between {came.lift.low:+.1%} and {came.lift.high:+.1%}.\n"
        if came.lift
        else ""
    )
    money = (
        f"\nOrders after a click: {came.orders:,}, worth {came.last_touch / 100:,.2f} {came.currency}.\n"
        if came.orders
        else ""
    )
    return (
        "\n### What came of it\n\n| by | delivered | opened | clicked | answered | bounced | machines "
        "|\n|---|---:|---:|---:|---:|---:|---:|\n" + "\n".join(rows) + f"\n{lift}{money}"
    )


def rehearsal_page(seen: Rehearsal, drawing: str, zone: str) -> str:
    """Lay a rehearsal out as a page. Counts only: no name and no address enters Prefect. Days are those of the
    house's clock."""
    days: dict[str, dict[str, int]] = {}
    for line in seen.lines:
        what = line.message if line.state == "sent" else f"{line.message}, {line.state}: {line.reason}"
        row = days.setdefault(clock.format_local(line.at, zone, "%a %d %b %Y"), {})
        row[what] = row.get(what, 0) + line.people
    rows = "\n".join(f"| {day} | {what} | {count:,} |" for day, row in days.items() for what, count in row.items())
    reasons = (
        "\n".join(f"| {reason} | {count:,} |" for reason, count in seen.held_reasons().items()) or "| nobody | 0 |"
    )
    assumed = "".join(f"\n- supposing that {assumption}" for assumption in seen.assumed)
    return (
        f"## {seen.campaign}, the next {seen.days} days\n\n{seen.people:,} enter, **{seen.count_sent():,} messages** "
        "would go out, "
        f"cost {seen.costs}.{assumed}\n\n![calendar]({_calendar(seen)})\n\n"
        f"| day | message | people |\n|---|---|---:|\n{rows}\n\n### Held\n\n| reason | messages "
        f"|\n|---|---:|\n{reasons}\n\n"
        f"### The journey\n\n```mermaid\n{drawing}\n```\n"
    )


def _calendar(seen: Rehearsal) -> str:
    """Draw a calendar: a column per day, a colour per message."""
    messages = list(dict.fromkeys(line.message for line in seen.lines if line.state == "sent"))
    per_day: dict[int, dict[str, int]] = {}
    for line in seen.lines:
        if line.state == "sent":
            today = per_day.setdefault((line.at - seen.since).days, {})
            today[line.message] = today.get(line.message, 0) + line.people
    most = max((sum(counts.values()) for counts in per_day.values()), default=1)
    width, height, step = 900, 220, 840 / max(seen.days, 1)
    drawn = [f'<line x1="40" y1="{height}" x2="880" y2="{height}" stroke="#7d7467"/>']
    for day, counts in per_day.items():
        y = float(height)
        for message, count in counts.items():
            tall = max(3.0, 180 * count / most)
            y -= tall
            colour = COLOURS[messages.index(message) % len(COLOURS)]
            drawn.append(
                f'<rect x="{40 + day * step:.1f}" y="{y:.1f}" width="{max(step - 1, 4):.1f}" height="{tall:.1f}" '
                f'fill="{colour}"/>'
            )
        drawn.append(f'<text x="{42 + day * step:.1f}" y="{height + 18}" font-size="12">{day}</text>')
    for place, message in enumerate(messages):
        x, y = 40 + 210 * (place % 4), height + 44 + 22 * (place // 4)
        drawn.append(f'<rect x="{x}" y="{y - 11}" width="12" height="12" fill="{COLOURS[place % len(COLOURS)]}"/>')
        drawn.append(f'<text x="{x + 18}" y="{y}">{escape(message)}</text>')
    return chart_svg("".join(drawn), width, height + 60 + 22 * (len(messages) // 4))
