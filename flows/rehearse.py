"""Button: see a campaign happen before it does."""

import asyncio
from typing import Literal

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from pydantic import BaseModel, Field

from passaparola.flows._artifacts import rehearsal_page
from passaparola.flows._choices import CampaignName
from passaparola.flows._run import hide_details, house_now, open_store
from passaparola.journeys.diagram import draw_mermaid
from passaparola.journeys.freeze import freeze_now
from passaparola.outbox.render.frozen import freezer
from passaparola.rehearsal import rehearse


class Rehearsing(BaseModel):
    """What to play, and what people are supposed to do."""

    campaign: CampaignName = Field(
        title="Campaign", description="One of the files in campaigns/.", json_schema_extra={"position": 0}
    )
    days: Literal["14", "30", "90", "365"] = Field(
        "90", title="Days", description="How far to look ahead.", json_schema_extra={"position": 1}
    )
    contacts: str = Field(
        "",
        title="Only these people",
        description='An audience or a question, such as country = "IT". Empty: everyone.',
        max_length=4000,
        json_schema_extra={"position": 2},
    )
    assume: str = Field(
        "",
        title="Suppose that everyone",
        description="answers survey 9 · order_completed · order_refunded after 2 days",
        max_length=200,
        json_schema_extra={"position": 3},
    )


@flow(name="campaign-rehearse")
async def campaign_rehearse(rehearsing: Rehearsing) -> None:
    """Play a campaign in a copy of the store: who gets what and when, who is held and why. Sends and changes nothing.

    Args:
        rehearsing: What to play, for whom, and what to suppose of them.
    """
    settings, store = open_store()
    name = rehearsing.campaign.value
    frozen = await asyncio.to_thread(freeze_now, store, settings, name, freezer(settings))
    with hide_details():
        seen = await asyncio.to_thread(
            rehearse,
            store,
            settings,
            name,
            days=int(rehearsing.days),
            now=house_now(settings),
            contacts=rehearsing.contacts,
            assume=[rehearsing.assume] if rehearsing.assume else [],
        )
    await acreate_markdown_artifact(
        rehearsal_page(seen, draw_mermaid(frozen), settings.time_zone),
        key=f"rehearsal-{name.replace('_', '-')}",
        description=f"Rehearsal of {name}",
    )
    get_run_logger().info(
        "%s enter, %s messages would go out, %s held", seen.people, seen.count_sent(), sum(seen.held_reasons().values())
    )
