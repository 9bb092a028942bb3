"""The local mailbox as a mail client and a timeline would show it, and previews of what is not sent yet.

Open to the operator's own browser on this machine, where nobody may have a login yet; to everyone else it stands behind
the console's, because it shows what contacts were written.
"""

import email
import email.policy
import json
import mimetypes
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from passaparola.channel import registry
from passaparola.channel.registry import sender_for
from passaparola.outbox.render.cast import CAST
from passaparola.outbox.render.check import sample_values
from passaparola.outbox.render.frozen import cut_wording, freeze_wordings, house_constants
from passaparola.settings import get_settings
from passaparola.web.console.auth import require_role
from passaparola.web.link_context import not_found_page, pages

router = APIRouter()
PAGE_SIZE, LATEST_POSTS = 50, 8
EMAIL_CSP = "default-src 'none'; img-src data: https:; style-src 'unsafe-inline'; sandbox"


def is_local(request: Request) -> bool:
    """Return whether a request comes from this machine, under its own name."""
    from_here = request.client and request.client.host in ("127.0.0.1", "::1", "testclient")
    # The name asked for, too: another site's name may be made to lead to this machine (DNS rebinding).
    named = request.url.hostname in ("127.0.0.1", "::1", "localhost", "testserver")
    return bool(from_here and named and "x-forwarded-for" not in request.headers)


def _require_access(request: Request) -> None:
    """Require that a request comes from this machine or from the console. Raises NotLoggedIn, Forbidden."""
    if not is_local(request):
        require_role("reader")(request)


def _files(medium: str) -> list[Path]:
    folder = get_settings().var / "mailbox" / medium / "new"
    return sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True) if folder.is_dir() else []


def _read(path: Path) -> EmailMessage:
    with path.open("rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@router.get("/")
def home(request: Request) -> Response:
    """Redirect to the mailbox, on this machine; anywhere else the bare address answers nothing."""
    return RedirectResponse("/mailbox") if is_local(request) else not_found_page(request)


@router.get("/mailbox")
def inbox(request: Request, page: int = 0) -> Response:
    """Show the local mailbox: emails left, posts right."""
    _require_access(request)
    files = _files("email")
    emails = []
    for path in files[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]:
        message = _read(path)
        emails.append(
            {
                "id": path.name,
                "subject": str(message["subject"]),
                "to": str(message["to"]),
                "date": str(message["date"]),
            }
        )
    shown = {
        "letters": emails,
        "count": len(files),
        "page": page,
        "pages": (len(files) + PAGE_SIZE - 1) // PAGE_SIZE,
        "posts": _load_posts()[:LATEST_POSTS],
    }
    return pages.TemplateResponse(request, "mailbox.html", shown)


@router.get("/timeline")
def timeline(request: Request) -> Response:
    """Show every network side by side, each post as it would look there."""
    _require_access(request)
    posts = _load_posts()
    media = sorted({post["medium"] for post in posts}, key=lambda medium: registry.branding_of(medium).title.lower())
    walls = [(registry.branding_of(medium), [post for post in posts if post["medium"] == medium]) for medium in media]
    return pages.TemplateResponse(request, "timeline.html", {"walls": walls})


def _load_posts() -> list[dict[str, Any]]:
    root = get_settings().var / "mailbox"
    media = (
        sorted(path.name for path in root.iterdir() if path.is_dir() and path.name != "email") if root.is_dir() else []
    )
    posts = [
        _post_view(json.loads(path.read_text(encoding="utf-8")))
        for medium in media
        for path in _files(medium)[:PAGE_SIZE]
    ]
    return sorted(posts, key=lambda post: str(post["at"]), reverse=True)


def _post_view(post: dict[str, Any]) -> dict[str, Any]:
    """Return a post with what the page needs to show it as its network does."""
    medium = str(post["medium"])
    spoken = registry.sender_class(medium) if medium in registry.sender_names() else None
    branding = registry.branding_of(medium)
    pieces = [_fold(piece, branding.fold) for piece in (spoken.split_posts(post["text"]) if spoken else [post["text"]])]
    return post | {"branding": branding, "pieces": pieces, "organisation": get_settings().organisation}


def _fold(text: str, after: int) -> tuple[str, str]:
    """Split a post into what is seen at once and what is behind "more"; no word is cut."""
    if not after or len(text) <= after:
        return text, ""
    cut = max(text.rfind(" ", 0, after), text.rfind("\n", 0, after), 1)
    return text[:cut], text[cut:]


def _email_path(name: str) -> Path:
    """Return an email's file by its name; never a file beside it."""
    file = next((path for path in _files("email") if path.name == name), None)
    if file is None:
        raise HTTPException(404)
    return file


@router.get("/mailbox/{name}")
def email_page(request: Request, name: str) -> Response:
    _require_access(request)
    message = _read(_email_path(name))
    text = message.get_body(("plain",))
    heads = [(key, str(value)) for key, value in message.items() if key not in ("MIME-Version", "Content-Type")]
    plain = text.get_content() if text else ""
    return pages.TemplateResponse(
        request, "letter.html", {"name": name, "heads": heads, "plain": plain, "subject": str(message["subject"])}
    )


@router.get("/mailbox/{name}/html")
def email_html(request: Request, name: str) -> Response:
    """Show the email itself, for a sandboxed frame: no scripts, whatever a contact's name holds."""
    _require_access(request)
    body = _read(_email_path(name)).get_body(("html",))
    return HTMLResponse(body.get_content() if body else "", headers={"Content-Security-Policy": EMAIL_CSP})


@router.get("/media/{path:path}")
def media(request: Request, path: str) -> Response:
    """Serve a picture of a template folder."""
    _require_access(request)
    root = (get_settings().home / "templates").resolve()
    file = (get_settings().home / path).resolve()
    kind = mimetypes.guess_type(file.name)[0] or ""
    if (
        not file.is_relative_to(root)
        or not file.is_file()
        or kind not in ("image/png", "image/jpeg", "image/webp", "image/gif")
    ):
        raise HTTPException(404)
    return FileResponse(file)


@router.get("/preview/{campaign}/{message:path}/{medium}/{locale}")
def preview(request: Request, campaign: str, message: str, medium: str, locale: str) -> Response:
    """Show a wording as one of the cast would see it, by the renderer that sends."""
    _require_access(request)
    settings = get_settings()
    wordings = freeze_wordings(settings.home, message, medium, campaign, settings)
    if locale not in wordings:
        raise HTTPException(404)
    fixed = house_constants(campaign, settings)
    cut = cut_wording(wordings[locale], locale, fixed)
    contact = next((c for c in CAST.values() if c.get("language") == locale), CAST["Anna"])
    values = cut.values({**fixed, **sample_values(contact, wordings[locale], "order_completed")})
    filled = {name: part.fill(values) for name, part in cut.skeleton.parts.items()}
    if "html" in filled:
        return HTMLResponse(filled["html"], headers={"Content-Security-Policy": EMAIL_CSP})
    post = _post_view(
        {
            "medium": medium,
            "text": filled["text"],
            "note": sender_for(medium, settings).approval_note(cut.skeleton),
            "media": [{"path": p, "alt": a} for p, a, _ in wordings[locale].media],
        }
    )
    return pages.TemplateResponse(request, "post.html", {"post": post})
