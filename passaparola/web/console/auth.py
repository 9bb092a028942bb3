"""Coming in: a name and a password, a signed cookie that a changed password ends, roles, and a token in every form.

A change is believed only with that token, and only from our own pages (Origin): two guards, either of which is enough.
"""

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from itsdangerous import BadSignature, URLSafeTimedSerializer
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlmodel import col, select

from passaparola import clock
from passaparola.channel import registry
from passaparola.contacts import staff
from passaparola.settings import get_settings
from passaparola.store import incidents
from passaparola.store.models import Staff
from passaparola.web.link_context import store

router = APIRouter()
pages = Jinja2Templates(Path(__file__).parent.parent / "pages" / "console")
pages.env.globals["branding"] = registry.branding_of
pages.env.filters["clock"] = lambda at, form: clock.format_local(at, get_settings().time_zone, form)
STATIC = Path(__file__).parent.parent / "static"
COOKIE, HOURS = "passaparola_console", 12
limiter = MovingWindowRateLimiter(MemoryStorage())
LOGIN_LIMIT = parse("10/5minutes")
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self' "
    "'unsafe-inline'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class NotLoggedIn(Exception):
    """Nobody is logged in."""


class Forbidden(Exception):
    """A colleague who may not do this, or a form that is not of a page of ours."""


@dataclass(frozen=True)
class Member:
    name: str
    role: str
    token: str

    def may(self, needed: str) -> bool:
        return staff.has_role(self.role, needed)


def require_role(needed: str) -> Callable[[Request], Member]:
    """Require a role of whoever asks. Raises NotLoggedIn, Forbidden."""

    def member(request: Request) -> Member:
        member_ = _member(request)
        if not member_.may(needed):
            raise Forbidden(f"That takes the role {needed}.")
        return member_

    member.needed = needed  # type: ignore[attr-defined]
    return member


def require_form(needed: str) -> Callable[[Request], Any]:
    """Require a role, and a form of ours with its token, for what changes something. Raises NotLoggedIn, Forbidden."""

    async def member(request: Request) -> Member:
        member_ = _member(request)
        if not member_.may(needed):
            raise Forbidden(f"That takes the role {needed}.")
        form = await request.form(max_fields=100, max_part_size=200_000)
        if not (_is_same_origin(request) and hmac.compare_digest(str(form.get("token", "")), member_.token)):
            raise Forbidden("This did not come from a page of the console.")
        return member_

    member.needed, member.changes = needed, True  # type: ignore[attr-defined]
    return member


def _member(request: Request) -> Member:
    try:
        cookie = _serializer().loads(request.cookies.get(COOKIE, ""), max_age=HOURS * 3600)
        name, entry, token = str(cookie["name"]), str(cookie["session"]), str(cookie["token"])
    except (BadSignature, KeyError, TypeError):
        raise NotLoggedIn from None
    with store().read() as session:
        member = session.get(Staff, name)
        if member is None or not member.active or not hmac.compare_digest(member.session_key, entry):
            raise NotLoggedIn
        return Member(member.name, member.role, token)


def _is_same_origin(request: Request) -> bool:
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        return False
    return origin is None or urlsplit(origin).netloc in (request.url.netloc, urlsplit(get_settings().public_url).netloc)


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(get_settings().secret, salt="passaparola console")


def safe_next(path: str) -> str:
    """Return where a colleague goes after the login: the page they asked for, and never another site."""
    known = re.fullmatch(r"/(console|preview|timeline|mailbox|media)(/[\w./~%@+,=-]*)?", path)
    return path if known and "//" not in path and ".." not in path else "/console/inbox"


def render_page(
    request: Request, template: str, member: Member | None, status: int = 200, /, **shown: object
) -> Response:
    stopped = _open_incidents() if member else []
    response = pages.TemplateResponse(
        request, template, {"member": member, "stopped": stopped, **shown}, status_code=status
    )
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-store"
    # Without a referrer browsers send no Origin with a form either, and that is one of our two guards.
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def _open_incidents() -> list[str]:
    """Return the incidents that somebody has to see to; they are on every page until they are mended."""
    with store().read() as session:
        zone = get_settings().time_zone
        return [incidents.describe_incident(incident, zone) for incident in incidents.open_incidents(session)]


@router.get("/static/htmx.js", include_in_schema=False)
def htmx() -> Response:
    return FileResponse(STATIC / "htmx.min.js", media_type="text/javascript")


@router.get("/login")
def login_page(request: Request, next: str = "") -> Response:
    with store().read() as session:
        empty = session.exec(select(col(Staff.name)).limit(1)).first() is None
    return render_page(request, "login.html", None, empty=empty, wrong=False, next=next)


@router.post("/login")
async def login(request: Request) -> Response:
    form = await request.form(max_fields=10, max_part_size=2_000)
    network, name = request.client.host if request.client else "", str(form.get("name", ""))
    allowed = limiter.hit(LOGIN_LIMIT, network) and limiter.hit(LOGIN_LIMIT, f"as {name[:100]}")
    with store().read() as session:
        member = (
            staff.authenticate(session, name, str(form.get("password", "")))
            if allowed and _is_same_origin(request)
            else None
        )
    if member is None:
        return render_page(
            request,
            "login.html",
            None,
            401 if allowed else 429,
            empty=False,
            wrong=True,
            next=str(form.get("next", "")),
        )
    response = RedirectResponse(safe_next(str(form.get("next", ""))), 303)
    cookie = {"name": member.name, "session": member.session_key, "token": secrets.token_urlsafe(24)}
    secure = get_settings().public_url.startswith("https://")
    # Lax: an approver comes from Prefect's pages, another site to a browser. What changes anything asks for a token
    # besides.
    response.set_cookie(
        COOKIE,
        _serializer().dumps(cookie),
        max_age=HOURS * 3600,
        path="/",
        httponly=True,
        samesite="lax",
        secure=secure,
    )
    return response


@router.post("/logout")
def logout(member: Member = Depends(require_form("reader"))) -> Response:
    response = RedirectResponse("/console/login", 303)
    response.delete_cookie(COOKIE, path="/")
    return response
