"""The marketer of the demo: presses Prefect's button, reads what it asks and approves, over the API that its page
uses."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import aiohttp

from passaparola.errors import PassaparolaError
from passaparola.operations.stack import Stack

WAITS = 900  # seconds for each step; on two cores at rest it takes less than one of a hundred
BUTTON = "campaign-send"
APPROVAL = {"decision": "approve", "approver": "Marta", "comment": "Lovely."}


class Late(PassaparolaError):
    """A step has not happened yet, which may only mean that the machine is busy."""


async def send(stack: Stack, campaign: str, say: Callable[[str], None]) -> None:
    """Send a campaign as a marketer would. Raises Late; PassaparolaError: the run failed."""
    secret = base64.b64encode(stack.password.encode()).decode()
    async with aiohttp.ClientSession(headers={"Authorization": f"Basic {secret}"}) as http:
        button = await _call(http, f"{stack.api}/deployments/name/{BUTTON}/{BUTTON}")
        form = {"send": {"campaign": campaign, "dry_run": False, "comment": "The first honey is here."}}
        run = await _call(http, f"{stack.api}/deployments/{button['id']}/create_flow_run", {"parameters": form})
        say(f"{BUTTON}: http://127.0.0.1:{stack.prefect_port}/runs/flow-run/{run['id']}")
        await _reach(http, stack, run["id"], "PAUSED")
        say("It asks for approval. Marta approves.")
        await _call(http, f"{stack.api}/flow_runs/{run['id']}/resume", {"run_input": APPROVAL})
        await _reach(http, stack, run["id"], "COMPLETED")


async def _reach(http: aiohttp.ClientSession, stack: Stack, run: str, wanted: str) -> None:
    for _ in range(WAITS):
        state = (await _call(http, f"{stack.api}/flow_runs/{run}"))["state"] or {}
        if state.get("type") == wanted:
            return
        if state.get("type") in {"FAILED", "CRASHED", "CANCELLED"}:
            raise PassaparolaError(f"The flow run is {state.get('name')}: {state.get('message')}")
        await asyncio.sleep(1)
    raise Late(f"The flow run took longer than {WAITS} seconds.")


async def _call(http: aiohttp.ClientSession, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    async with http.request("POST" if body is not None else "GET", url, json=body) as answer:
        if answer.status >= 400:
            raise PassaparolaError(f"Prefect answered {answer.status} to {url}: {(await answer.text())[:300]}")
        answered: dict[str, Any] = await answer.json()
        return answered
