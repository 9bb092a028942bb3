"""Whether a reader can load and follow what a letter points to: it arrives alone, without the folder that it was
written in."""

import html
import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from passaparola.errors import BadContent
from passaparola.outbox.render.message import Wording

# The compiled page has every attribute in double quotes; Outlook's conditional comments hold some, too.
PICTURE = re.compile(r'\b(?:src|background|poster)\s*=\s*"([^"]*)"|url\(\s*(?:&quot;|["\'])?([^"\')&]*)', re.I)
SEVERAL = re.compile(r'\bsrcset\s*=\s*"([^"]*)"', re.I)
STYLESHEET = re.compile(r'<link\b[^>]*?\bhref\s*=\s*"([^"]*)"', re.I)
LINK = re.compile(r'<(?:a|area)\b[^>]*?\shref\s*=\s*"([^"]*)"', re.I)
HOLE = re.compile(r"^\s*(jx\d+j|<!-- jb\d+j -->|\{[{%])")
FOLLOWED = ("http", "https", "mailto", "tel", "sms", "whatsapp")


def refuse_unloadable(page: str, wording: Wording, around: Wording) -> None:
    """Refuse what no reader can load. `page` is the compiled letter, its Jinja still put aside. Raises BadContent:
    the first address that leads nowhere."""
    if wording.matter.media:
        raise BadContent(
            "“media” goes with posts; a letter carries no files. Put the picture on your site and write "
            '<mj-image src="https://…" alt="…" />',
            f"{wording.where}:1",
        )
    for address in picture_sources(page):
        if reason := unreachable_reason(address, ("http", "https")):
            raise BadContent(
                f"no reader can load the picture “{address[:80]}”: {reason}. Put it on your site and write its whole "
                "address, "
                "https://…",
                _locate(address, wording, around),
            )
    for address in LINK.findall(page):
        if reason := unreachable_reason(html.unescape(address), FOLLOWED):
            raise BadContent(
                f"no reader can follow the link “{html.unescape(address)[:80]}”: {reason}. Write its whole address, "
                "https://…",
                _locate(html.unescape(address), wording, around),
            )


def picture_sources(page: str) -> Iterator[str]:
    for first, second in PICTURE.findall(page):
        yield html.unescape(first or second).strip()
    for several in SEVERAL.findall(page):
        for candidate in re.split(r",\s+", html.unescape(several)):
            yield candidate.split()[0] if candidate.split() else ""
    yield from map(html.unescape, STYLESHEET.findall(page))


def unreachable_reason(address: str, schemes: tuple[str, ...]) -> str:
    """Return why an address leads nowhere from a mailbox; empty where it may lead somewhere. What a hole begins is
    not known here."""
    if HOLE.match(address) or (address.startswith("#") and "mailto" in schemes):
        return ""
    if not address:
        return "it is empty"
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return "it is no address"
    if parts.scheme in ("cid", "data"):
        return "letters bring no pictures along, and most readers show none that are written into them"
    if not parts.scheme:
        return (
            "it is a file, and a letter arrives without its folder"
            if not address.startswith("//")
            else "it lacks its https:"
        )
    if parts.scheme not in schemes:
        return f"{parts.scheme}: leads nowhere from a mailbox"
    if parts.scheme in ("http", "https") and not HOLE.search(host) and not _is_public_host(host):
        return f"only your own network knows “{host}”" if host else "it lacks the name of a site"
    return ""


def _is_public_host(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:
        private = host.endswith((".local", ".localhost", ".internal", ".lan")) or host == "localhost"
        return "." in host and not private


def _locate(address: str, wording: Wording, around: Wording) -> str:
    """Return the file and line in which an address stands: the wording's, else the layout's."""
    for folder in (wording, around):
        for number, line in enumerate(folder.body.splitlines(), folder.first_line):
            if (address or 'src=""') in line or (address and html.escape(address) in line):
                return f"{folder.where}:{number}"
    return f"{wording.where}:{wording.first_line}"
