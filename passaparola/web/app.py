"""Builds the application: one router per file."""

import time
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from passaparola.errors import PassaparolaError
from passaparola.operations import health, watchdog
from passaparola.store.database import latest_revision, utc_now
from passaparola.web import (
    console,
    feed,
    link_context,
    links,
    mailbox,
    metrics,
    preferences,
    privacy,
    referrals,
    signup,
    surveys,
    unsubscribe,
    webhooks,
)
from passaparola.web.console.auth import Forbidden, NotLoggedIn
from passaparola.web.link_context import pages

app = FastAPI(title="Passaparola", docs_url=None, redoc_url=None, openapi_url=None)
app.router.routes[:0] = referrals.routes
for room in (webhooks, unsubscribe, feed, preferences, privacy, signup, surveys, mailbox, console, metrics):
    app.include_router(room.router)

POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-src 'self'; form-action "
    "'self'; base-uri 'none'"
)


class SecurityHeaders:
    """Middleware: no page of ours runs a script or is framed elsewhere, and no token leaves in a Referer; each
    request is timed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", POLICY)
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Referrer-Policy", "no-referrer")
                # The route's pattern: a token is nobody's label.
                route = getattr(scope.get("route"), "path", "") or getattr(scope.get("endpoint"), "__name__", "none")
                metrics.SECONDS.labels(route).observe(time.perf_counter() - began)
            await send(message)

        await self.app(scope, receive, send_with_headers)


app.add_middleware(SecurityHeaders)
app.add_middleware(links.LinkDoor)


@app.exception_handler(PassaparolaError)
async def show_error(request: Request, error: PassaparolaError) -> HTMLResponse:
    return pages.TemplateResponse(request, "sorry.html", {"sentence": str(error)}, status_code=400)


@app.exception_handler(DBAPIError)
async def show_unavailable(request: Request, error: DBAPIError) -> Response:
    """Answer that the store is busy or away: nothing was changed, and the same request may succeed in a while."""
    return link_context.unavailable_page(request)


@app.exception_handler(NotLoggedIn)
async def redirect_to_login(request: Request, error: NotLoggedIn) -> Response:
    if request.method != "GET":
        return Response("Log in first.", 401)
    query = "" if request.url.path.startswith("/console") else f"?next={quote(request.url.path)}"
    return RedirectResponse(f"/console/login{query}", 303)


@app.exception_handler(Forbidden)
async def show_forbidden(request: Request, error: Forbidden) -> Response:
    return pages.TemplateResponse(request, "sorry.html", {"sentence": str(error)}, status_code=403)


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """Answer ok while the store answers."""
    with link_context.store().engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    return {"status": "ok"}


@app.get("/readyz")
def ready() -> Response:
    """Answer whether traffic may be sent here: the tables are of this version, can be written to, and what comes in
    is applied."""
    store = link_context.store()
    problems = []
    with store.write() as session:
        at = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
        session.execute(text("UPDATE seal SET id = id WHERE false"))
    if at != latest_revision():
        problems.append(f"the tables are of version {at}, this code is of {latest_revision()}")
    seen = health.take_snapshot(store, utc_now())
    problems += [finding.summary for finding in watchdog.find_stuck_steps(seen) if finding.step == "listen"]
    return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)
