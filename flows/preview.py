"""Buttons: see a campaign or an audience before anyone is written to."""

import asyncio

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from pydantic import BaseModel, Field

from contacts import audience
from contacts.audience import Question
from flows.choices import AudienceName, CampaignName
from flows.engine import house_now, opened
from flows.pictures import photographed
from journeys.freeze import content_now
from outbox.preview import Preview, preview
from outbox.render.frozen import freezer


@flow(name="preview-campaign")
async def preview_campaign(campaign: CampaignName) -> None:  # type: ignore[valid-type]
    """See what a campaign says, who would get it, who would not and why, and what it costs. Nothing is sent.

    Args:
        campaign: Which campaign to look at. New ones appear here after `passaparola up`.
    """
    seen = await show(campaign.value)  # type: ignore[attr-defined]
    get_run_logger().info("%s people in the audience, %s would get it", seen.enrolled, seen.sendable)


class Audience(BaseModel):
    """An audience by name, or a question that you are still thinking about."""

    name: AudienceName = Field(title="Audience", description="One of the files in audiences/.")  # type: ignore[valid-type]
    question: str = Field(
        "", title="Or ask anything", description='Such as: country = "IT" and ordered within 90 days.', max_length=4000
    )


@flow(name="preview-audience")
async def preview_audience(who: Audience) -> None:
    """How many people an audience holds right now.

    Args:
        who: A named audience, or a question of your own, which then counts instead.
    """
    own, store = opened()
    asked = who.question.strip() or who.name.value  # type: ignore[attr-defined]
    with store.read() as session:
        question = Question.of(asked, audience.catalogue(session, own))
        count = audience.count(session, question, house_now(own))
        parts = [
            (part.text, audience.count(session, Question("", part, question.catalogue), house_now(own)))
            for part in question.node.parts
            if part.text
        ]
    rows = "\n".join(f"| `{text}` | {number:,} |" for text, number in [(question.node.text, count), *parts])
    await acreate_markdown_artifact(
        f"## {count:,} people\n\n| question | people |\n|---|---:|\n{rows}\n", key="audience-preview"
    )
    get_run_logger().info("%s people", count)


async def show(name: str) -> Preview:
    """The preview as an artifact: counts, the reasons, and every wording as one of the cast would see it."""
    own, store = opened()
    content = await asyncio.to_thread(content_now, store, own, name, freezer(own))
    seen = await asyncio.to_thread(preview, store, own, content, house_now(own))
    letters = [sample for sample in seen.samples if sample.html]
    pictures = await photographed([sample.html for sample in letters])
    lines = [f"## {seen.title}", counted(seen)]
    for place, sample in enumerate(letters):
        link = f"{own.public_url}/preview/{seen.campaign}/{sample.message}/{sample.medium}/{sample.locale}"
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


def counted(seen: Preview) -> str:
    """Who gets it, who does not and why, and the cost, as a table."""
    rows = [f"| in the audience “{seen.audience}” | {seen.enrolled:,} |"]
    for medium, counts in seen.media.items():
        rows.append(f"| **would get it by {medium}** ({seen.channels[medium]}) | **{counts.get('', 0):,}** |")
        rows += [f"| not: {reason} | {count:,} |" for reason, count in sorted(counts.items()) if reason]
    rows += [f"| one public post on {m} ({seen.channels[m]}) | 1 |" for m in seen.channels if m not in seen.media]
    rows.append(f"| cost | {seen.costs} |")
    return "| | people |\n|---|---:|\n" + "\n".join(rows)
