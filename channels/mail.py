"""Emails that come to us in a mailbox: by IMAP, or in a Maildir that a mail server on this machine fills. It only
listens.

Nothing is deleted there. A letter is marked as seen by us only after it is on our own disk.
"""

import imaplib
import mailbox
import ssl
from asyncio import to_thread
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from passaparola.channel.inbound_email import parse_email
from passaparola.channel.receiver import ParseResult, Poll, RawPayload
from passaparola.channel.signed_webhook import body_digest
from passaparola.errors import Blocked, Misconfigured, Unavailable
from passaparola.settings import FromEnvironment, get_settings

MAX_EMAILS_PER_POLL = 100
IMAP_TIMEOUT_SECONDS = 30.0
MAX_EMAIL_BYTES = 31_000_000


class MailSettings(FromEnvironment):
    mail_imap_url: SecretStr = SecretStr("")  # imaps://user:password@host/INBOX
    mail_maildir: str = ""


class MailReceiver(Poll):
    name = "mail"
    needs_deadline = True

    async def poll(self, since: str) -> tuple[Sequence[RawPayload], str]:
        settings = MailSettings()
        if settings.mail_maildir:
            return await to_thread(_poll_maildir, Path(settings.mail_maildir), since)
        if url := settings.mail_imap_url.get_secret_value():
            return await to_thread(_poll_imap, url, since)
        raise Misconfigured(
            "Set PASSAPAROLA_MAIL_IMAP_URL, or PASSAPAROLA_MAIL_MAILDIR, to read what is answered by mail."
        )

    @classmethod
    def may_be_urgent(cls, body: bytes) -> bool:
        return True  # any letter may be a no, and is read whole to know it

    def parse(self, headers: Mapping[str, str], body: bytes) -> ParseResult:
        return parse_email(
            body, [headers["x-envelope-to"]] if "x-envelope-to" in headers else [], get_settings().secret
        )


def _poll_maildir(folder: Path, since: str) -> tuple[Sequence[RawPayload], str]:
    """Read new emails of a Maildir. `since` names what was handed over last time: it is on disk now, so it moves
    from new/ to cur/."""
    if not (folder / "new").is_dir():
        raise Unavailable(f"There is no Maildir at {folder}")
    for name in since.split("\n"):
        if name and (folder / "new" / name).is_file():
            (folder / "new" / name).rename(folder / "cur" / f"{name}:2,")
    new = sorted((folder / "new").iterdir(), key=lambda path: path.stat().st_mtime_ns)[:MAX_EMAILS_PER_POLL]
    bodies = []
    for path in new:
        content = path.read_bytes()[:MAX_EMAIL_BYTES]
        to = mailbox.MaildirMessage(content[:20_000]).get("Delivered-To", "")
        bodies.append(
            RawPayload(f"{path.name}:{body_digest(content)[:16]}", content, {"x-envelope-to": str(to)} if to else {})
        )
    return bodies, "\n".join(path.name for path in new)


def _poll_imap(given: str, since: str) -> tuple[Sequence[RawPayload], str]:
    """Fetch new emails by IMAP. `since` is the box's UIDVALIDITY and the last UID that was read (RFC 3501, 2.3.1.1)."""
    url = urlsplit(given)
    if url.scheme not in ("imap", "imaps") or not url.hostname:
        raise Misconfigured("PASSAPAROLA_MAIL_IMAP_URL is like imaps://user:password@host/INBOX")
    try:
        box = _open_imap(url.scheme, url.hostname, url.port)
    except (OSError, imaplib.IMAP4.error) as error:
        raise Unavailable(f"the mailbox cannot be reached: {type(error).__name__}") from None
    try:
        try:
            box.login(unquote(url.username or ""), unquote(url.password or ""))
        except imaplib.IMAP4.error:
            raise Blocked("the mailbox refused the user and password") from None
        folder = url.path.strip("/") or "INBOX"
        if box.select(folder, readonly=True)[0] != "OK":
            raise Blocked(f"the mailbox has no folder {folder}")
        epoch = (box.response("UIDVALIDITY")[1] or [b"0"])[0].decode()
        known, _, last = since.partition(":")
        after = int(last or 0) if known == epoch else 0
        listed = box.uid("SEARCH", f"UID {after + 1}:*")[1][0] or b""
        uids = sorted(int(uid) for uid in listed.split() if int(uid) > after)[:MAX_EMAILS_PER_POLL]
        bodies = []
        for uid in uids:
            response = box.uid("FETCH", str(uid), "(BODY.PEEK[])")[1]
            content = next((bytes(part[1]) for part in response if isinstance(part, tuple)), b"")
            if content:
                bodies.append(RawPayload(f"{epoch}:{uid}", content[:MAX_EMAIL_BYTES]))
        return bodies, f"{epoch}:{uids[-1] if uids else after}"
    except (OSError, imaplib.IMAP4.error) as error:
        raise Unavailable(f"the mailbox broke off: {type(error).__name__}") from None
    finally:
        try:
            box.logout()
        except (OSError, imaplib.IMAP4.error):
            box.shutdown()


def _open_imap(scheme: str, host: str, port: int | None) -> imaplib.IMAP4:
    if scheme == "imaps":
        return imaplib.IMAP4_SSL(
            host, port or 993, ssl_context=ssl.create_default_context(), timeout=IMAP_TIMEOUT_SECONDS
        )
    return imaplib.IMAP4(host, port or 143, timeout=IMAP_TIMEOUT_SECONDS)
