"""Builds the application: one router per file."""

import time
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

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
    webhooks,
)
from passaparola.web.console.auth import Forbidden, NotLoggedIn
from passaparola.web.link_context import pages

app = FastAPI(title="Passaparola", docs_url=None, redoc_url=None, openapi_url=None)
for room in (webhooks, links, referrals, feed, preferences, privacy, signup, surveys, mailbox, console, metrics):
    app.include_router(room.router)

POLICY = "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'"


@app.middleware("http")
async def add_security_headers(request: Request, call_next):  # type: ignore[no-untyped-def]
    """No page of ours runs a script or is framed elsewhere, and no token leaves in a Referer."""
    began = time.perf_counter()
    answer: Response = await call_next(request)
    route = getattr(request.scope.get("route"), "path", "none")  # its pattern: a token is nobody's label
    metrics.SECONDS.labels(route).observe(time.perf_counter() - began)
    answer.headers.setdefault("Content-Security-Policy", POLICY)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers.setdefault("Referrer-Policy", "no-referrer")
    return answer


@app.exception_handler(PassaparolaError)
async def show_error(request: Request, error: PassaparolaError) -> HTMLResponse:
    return pages.TemplateResponse(request, "sorry.html", {"sentence": str(error)}, status_code=400)


@app.exception_handler(DBAPIError)
async def show_unavailable(request: Request, error: DBAPIError) -> Response:
    """The store is busy or away: nothing was changed, and the same request may succeed in a while."""
    sentence = "We cannot write anything down at the moment. Nothing was changed; please try again in a minute."
    page = pages.TemplateResponse(request, "sorry.html", {"sentence": sentence}, status_code=503)
    page.headers["Retry-After"] = "30"
    return page


@app.exception_handler(NotLoggedIn)
async def redirect_to_login(request: Request, error: NotLoggedIn) -> Response:
    if request.method != "GET":
        return Response("Log in first.", 401)
    asked = "" if request.url.path.startswith("/console") else f"?next={quote(request.url.path)}"
    return RedirectResponse(f"/console/login{asked}", 303)


@app.exception_handler(Forbidden)
async def show_forbidden(request: Request, error: Forbidden) -> Response:
    return pages.TemplateResponse(request, "sorry.html", {"sentence": str(error)}, status_code=403)


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """Says ok only while the store answers."""
    with link_context.store().engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    return {"status": "ok"}


@app.get("/readyz")
def ready() -> Response:
    """Whether to send anyone here: the tables are of this version, can be written to, and what comes in is applied."""
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
