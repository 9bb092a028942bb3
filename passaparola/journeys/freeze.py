"""What a launch freezes: everything that decides what it says, to whom and when, as plain values under one hash."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from passaparola.channel.registry import carrier_for, sender_for
from passaparola.contacts import audience, topics
from passaparola.contacts.audience.words import Catalogue
from passaparola.journeys.campaign import PRIORITIES, Campaign
from passaparola.journeys.validate import load_campaign
from passaparola.settings import Settings
from passaparola.store.database import Store

# Compiles a message's wordings on a medium: (message, medium, campaign) → {locale: plain values}.
FreezeMessage = Callable[[str, str, str], Mapping[str, Any]]


def freeze_now(store: Store, settings: Settings, name: str, freeze: FreezeMessage) -> dict[str, Any]:
    """Freeze what a launch would say if it were prepared now, for previews. Raises Unknown, BadContent."""
    with store.read() as session:
        words = audience.load_catalogue(session, settings)
    return freeze_content(settings, name, freeze, words)


def freeze_content(settings: Settings, name: str, freeze: FreezeMessage, words: Catalogue) -> dict[str, Any]:
    """Freeze everything that decides what a launch says, to whom and when, as plain values. `words` knows the
    store's own traits and events. Raises Unknown, BadContent."""
    campaign = load_campaign(settings, name, words)
    wordings = list(campaign.wordings_needed())
    enter = campaign.enter
    return {
        "campaign": name,
        "title": campaign.title,
        "topic": campaign.topic,
        "basis": topics.basis_of(settings.home, campaign.topic),
        "audience": enter.audience,
        "who": audience.load_audience(settings.home, enter.audience).who if enter.audience else None,
        "inside": _nested_audiences(words, campaign),
        "enter": enter.model_dump(exclude_none=True) | {"zone": enter.zone or settings.time_zone, "again": enter.rule},
        "leave": campaign.leave.model_dump(exclude_none=True) if campaign.leave else None,
        "goal": _goal(campaign),
        "holdout": campaign.holdout,
        "priority": PRIORITIES[campaign.priority],
        "steps": [step.model_dump(mode="json", by_alias=True, exclude_defaults=True) for step in campaign.steps],
        # Where no rule says who may come again, the words do: the same ones are never said to anyone twice.
        "said_once": enter.audience is not None and enter.again is None,
        "locale": campaign.locale or settings.locale,
        "late_after": int(campaign.late.total_seconds()) if campaign.late else None,
        "messages": {f"{message}/{medium}": freeze(message, medium, name) for message, medium in wordings},
        "public": sorted({medium for _, medium in wordings if sender_for(medium, settings).public}),
        "channels": {medium: carrier_for(medium, settings).name for _, medium in wordings},
        "sender": {
            "name": settings.sender_name,
            "email": settings.sender_email,
            "reply_to": settings.reply_to,
            "organisation": settings.organisation,
            "postal_address": settings.postal_address,
            "public_url": settings.public_url,
        },
    }


def _goal(campaign: Campaign) -> dict[str, Any] | None:
    goal = campaign.goal
    return {"on": goal.on, "within": int(goal.within.total_seconds())} if goal else None


def _nested_audiences(words: Catalogue, campaign: Campaign) -> dict[str, str]:
    """Return the audiences a campaign's questions refer to, as they read now."""
    nested: dict[str, str] = {}
    waiting = [step.when for step in campaign.steps if step.when]
    if campaign.leave and campaign.leave.when:
        waiting.append(campaign.leave.when)
    if campaign.enter.audience:
        waiting.append(f"in audience {campaign.enter.audience}")
    while waiting:
        for inner in re.findall(r"in\s+audience\s+(\w+)", waiting.pop()):
            if inner in words.audiences and inner not in nested:
                nested[inner] = words.audiences[inner]
                waiting.append(nested[inner])
    return nested
