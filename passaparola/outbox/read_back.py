"""What a network said yes to is looked for where everybody sees it."""

import asyncio
from dataclasses import replace

from passaparola.channel.sender import Sender, SendResult

READ_TIMEOUT_SECONDS = 10.0  # seconds for one look, so that all of them fit into the quarantine of the call
READ_BACK_DELAYS_SECONDS = (0.0, 1.0, 3.0)  # seconds before each look for a post that is not there yet


async def confirm_visible(channel: Sender, result: SendResult) -> SendResult:
    """Confirm that an accepted post can be seen: only then it counts as sent."""
    uncertain = dict(result.uncertain)
    for id_, receipt in result.receipts.items():
        if receipt and await _is_visible(channel, receipt) is False:
            uncertain[id_] = f"{channel.branding.title} took it, but it is not to be seen there"
    return replace(result, uncertain=uncertain)


async def _is_visible(channel: Sender, receipt: str) -> bool | None:
    """Return whether a post is visible; None where the network cannot tell, or not now: then its answer has to do."""
    visible: bool | None = None
    for pause in READ_BACK_DELAYS_SECONDS:
        await asyncio.sleep(pause)
        try:
            visible = await asyncio.wait_for(channel.read_back(receipt), READ_TIMEOUT_SECONDS)
        except Exception:  # it was posted; whatever keeps us from seeing it proves nothing
            return None
        if visible is not False:
            return visible
    return visible
