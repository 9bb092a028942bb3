"""Builds the application: one router per file."""

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from errors import PassaparolaError
from web import console, feed, hooks, links, mailbox, mine, preferences, signup, surveys, visitors, word
from web.console.entry import Forbidden, Outside
from web.visitors import pages

app = FastAPI(title="Passaparola", docs_url=None, redoc_url=None, openapi_url=None)
for room in (hooks, links, word, feed, preferences, mine, signup, surveys, mailbox, console):
    app.include_router(room.router)

POLICY = "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'"


@app.middleware("http")
async def guarded(request: Request, call_next):  # type: ignore[no-untyped-def]
    """No page of ours runs a script or is framed elsewhere, and no token leaves in a Referer."""
    answer: Response = await call_next(request)
    answer.headers.setdefault("Content-Security-Policy", POLICY)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers.setdefault("Referrer-Policy", "no-referrer")
    return answer


@app.exception_handler(PassaparolaError)
async def said(request: Request, error: PassaparolaError) -> HTMLResponse:
    return pages.TemplateResponse(request, "sorry.html", {"sentence": str(error)}, status_code=400)


@app.exception_handler(DBAPIError)
async def away(request: Request, error: DBAPIError) -> Response:
    """The store is busy or away: nothing was changed, and the same request may succeed in a while."""
    sentence = "We cannot write anything down at the moment. Nothing was changed; please try again in a minute."
    page = pages.TemplateResponse(request, "sorry.html", {"sentence": sentence}, status_code=503)
    page.headers["Retry-After"] = "30"
    return page


@app.exception_handler(Outside)
async def to_the_door(request: Request, error: Outside) -> Response:
    return RedirectResponse("/console/login", 303) if request.method == "GET" else Response("Log in first.", 401)


@app.exception_handler(Forbidden)
async def not_allowed(request: Request, error: Forbidden) -> Response:
    return pages.TemplateResponse(request, "sorry.html", {"sentence": str(error)}, status_code=403)


@app.get("/healthz")
def health() -> dict[str, str]:
    """Says ok only while the store answers."""
    with visitors.store().engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    return {"status": "ok"}
