"""Button: see a campaign happen before it does."""

import asyncio
from html import escape
from typing import Literal

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from pydantic import BaseModel, Field

from contacts import clock
from flows.choices import CampaignName
from flows.engine import discreet, house_now, opened
from flows.pictures import COLOURS, svg
from journeys.draw import mermaid
from journeys.freeze import content_now
from outbox.render.frozen import freezer
from rehearsal import Rehearsal, rehearse


class Rehearsing(BaseModel):
    """What to play, and what people are supposed to do."""

    campaign: CampaignName = Field(  # type: ignore[valid-type]
        title="Campaign", description="One of the files in campaigns/.", json_schema_extra={"position": 0}
    )
    days: Literal["14", "30", "90", "365"] = Field(
        "90", title="Days", description="How far to look ahead.", json_schema_extra={"position": 1}
    )
    contacts: str = Field(
        "", title="Only these people", description='An audience or a question, such as country = "IT". Empty: everyone.',
        max_length=4000, json_schema_extra={"position": 2},
    )  # fmt: skip
    assume: str = Field(
        "", title="Suppose that everyone", description="answers survey 9 · order_completed · order_refunded after 2 days",
        max_length=200, json_schema_extra={"position": 3},
    )  # fmt: skip


@flow(name="rehearse-campaign")
async def rehearse_campaign(rehearsing: Rehearsing) -> None:
    """Play a campaign in a copy of the store: who gets what and when, who is held and why. Sends and changes nothing.

    Args:
        rehearsing: What to play, for whom, and what to suppose of them.
    """
    own, store = opened()
    name = rehearsing.campaign.value  # type: ignore[attr-defined]
    frozen = await asyncio.to_thread(content_now, store, own, name, freezer(own))
    with discreet():
        seen = await asyncio.to_thread(
            rehearse, store, own, name, days=int(rehearsing.days), now=house_now(own),
            contacts=rehearsing.contacts, assume=[rehearsing.assume] if rehearsing.assume else [],
        )  # fmt: skip
    await acreate_markdown_artifact(
        told(seen, mermaid(frozen), own.time_zone),
        key=f"rehearsal-{name.replace('_', '-')}",
        description=f"Rehearsal of {name}",
    )
    get_run_logger().info(
        "%s enter, %s messages would go out, %s held", seen.people, seen.sent(), sum(seen.held().values())
    )


def told(seen: Rehearsal, drawing: str, zone: str) -> str:
    """Counts only: no name and no address enters Prefect. Days are those of the house's clock."""
    days: dict[str, dict[str, int]] = {}
    for line in seen.lines:
        what = line.message if line.state == "sent" else f"{line.message}, {line.state}: {line.reason}"
        row = days.setdefault(clock.shown(line.at, zone, "%a %d %b %Y"), {})
        row[what] = row.get(what, 0) + line.people
    rows = "\n".join(f"| {day} | {what} | {count:,} |" for day, row in days.items() for what, count in row.items())
    reasons = "\n".join(f"| {reason} | {count:,} |" for reason, count in seen.held().items()) or "| nobody | 0 |"
    assumed = "".join(f"\n- supposing that {one}" for one in seen.assumed)
    return (
        f"## {seen.campaign}, the next {seen.days} days\n\n{seen.people:,} enter, **{seen.sent():,} messages** would go out, "
        f"cost {seen.costs}.{assumed}\n\n![calendar]({calendar(seen)})\n\n"
        f"| day | message | people |\n|---|---|---:|\n{rows}\n\n### Held\n\n| reason | messages |\n|---|---:|\n{reasons}\n\n"
        f"### The journey\n\n```mermaid\n{drawing}\n```\n"
    )


def calendar(seen: Rehearsal) -> str:
    """A column per day, a colour per message."""
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
                f'<rect x="{40 + day * step:.1f}" y="{y:.1f}" width="{max(step - 1, 4):.1f}" height="{tall:.1f}" fill="{colour}"/>'
            )
        drawn.append(f'<text x="{42 + day * step:.1f}" y="{height + 18}" font-size="12">{day}</text>')
    for place, message in enumerate(messages):
        x, y = 40 + 210 * (place % 4), height + 44 + 22 * (place // 4)
        drawn.append(f'<rect x="{x}" y="{y - 11}" width="12" height="12" fill="{COLOURS[place % len(COLOURS)]}"/>')
        drawn.append(f'<text x="{x + 18}" y="{y}">{escape(message)}</text>')
    return svg("".join(drawn), width, height + 60 + 22 * (len(messages) // 4))
