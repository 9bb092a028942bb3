"""Webhooks: a body is verified by its signature, on disk before it is answered, and parsed afterwards."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool

from passaparola.channel import registry
from passaparola.errors import Forged, Misconfigured, Unknown
from passaparola.inbound.verify import verify_delivery
from passaparola.store.database import utc_now
from passaparola.web import group_commit
from passaparola.web.metrics import BODIES

router = APIRouter()
BODY_TIMEOUT_SECONDS = 10.0  # seconds for a body to arrive
LARGE_BODY_BYTES = 1_000_000  # bytes that nobody else should wait for
MIN_BYTES_PER_SECOND = 1_000_000  # bytes a second, for the large ones
REFUSED: dict[int | str, dict[str, Any]] = {
    202: {"description": "On disk; applied within seconds."},
    400: {"description": "The body broke off."},
    401: {"description": "The signature does not hold."},
    404: {"description": "Nothing listens here, or it has no secret yet."},
    408: {"description": "The body came too slowly."},
    413: {"description": "The body is too large."},
    415: {"description": "The body is compressed; send it as it is."},
    503: {"description": "It could not be kept; send it again."},
}


@router.post("/events", status_code=202, responses=REFUSED)
async def events(request: Request) -> Response:
    """Receive one event or a batch, signed after Standard Webhooks."""
    return _count_response("events", await _receive("events", request))


@router.post("/webhooks/{channel}", status_code=202, responses=REFUSED)
async def webhook(channel: str, request: Request) -> Response:
    """Receive a signed delivery of a shop or a provider."""
    return _count_response(channel, await _receive(channel, request))


@router.get("/webhooks/{channel}", responses={404: {"description": "Nothing here asks so."}})
async def answer_challenge(channel: str, request: Request) -> Response:
    """Answer a provider's challenge, by which it asks whether the address is ours before it sends anything."""
    try:
        response = registry.webhook_class(channel).challenge(request.query_params)
    except (Unknown, Misconfigured):
        response = None
    kind = "application/json" if response and response.startswith("{") else "text/plain"
    return Response(response, media_type=kind) if response else _respond(404, "Nothing here asks so.")


def _count_response(channel: str, response: Response) -> Response:
    known = (
        channel if response.status_code != 404 else "unknown"
    )  # whatever a stranger writes into the address is no label
    BODIES.labels(known, response.status_code).inc()
    return response


async def _receive(channel: str, request: Request) -> Response:  # noqa: C901  one answer per way to fail
    try:
        receiver = registry.webhook_class(channel)()
    except Unknown:
        return _respond(404, "Nothing listens here.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        return _respond(415, "Send the body as it is.")
    try:
        body = await asyncio.wait_for(
            _read_body(request, receiver.max_body_bytes),
            BODY_TIMEOUT_SECONDS + receiver.max_body_bytes / MIN_BYTES_PER_SECOND,
        )
    except TimeoutError:
        return _respond(408, "The body came too slowly.")
    if body is None:
        return _respond(413, f"{receiver.max_body_bytes} bytes are the most.")
    headers = {name.lower(): value[:500] for name, value in request.headers.items()}
    query = f"?{request.url.query}" if request.url.query else ""
    headers[":path"] = f"{request.url.path}{query}"[:1_000]
    try:
        if len(body) > LARGE_BODY_BYTES:
            new = await run_in_threadpool(verify_delivery, receiver, headers, body, utc_now())
        else:
            new = verify_delivery(receiver, headers, body, utc_now())
    except Forged as error:
        return _respond(401, str(error))
    except Misconfigured:
        return _respond(404, "Nothing listens here.")
    except ValueError as error:
        return _respond(400, str(error)[:200])
    if new is None:
        return _respond(200, "Hello.")
    try:
        await group_commit.store_body(new)
    except DBAPIError:
        return _respond(503, "It could not be kept; send it again.")
    return _respond(202, "Kept.")


async def _read_body(request: Request, largest: int) -> bytes | None:
    """Read a body up to a limit. Return None where it is too large; no more is ever held than was announced or has
    come."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced) > largest:
        return None
    held = bytearray()
    async for piece in request.stream():
        held += piece
        if len(held) > largest:
            return None
    return bytes(held)


def _respond(status: int, words: str) -> Response:
    # A body that was refused half-read must not be taken for the next request on the connection.
    headers = {"Connection": "close"} if status in (408, 413, 415) else None
    return JSONResponse({"said": words}, status, headers)
