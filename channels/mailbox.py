"""The local preview of every medium: mail as real MIME in a Maildir, posts as JSON. Nothing leaves the machine.

It is a channel like any other, with an evidence of its own: what lies in the box was accepted, what does not was not.
"""

import json
import os
from asyncio import to_thread
from datetime import UTC, datetime
from pathlib import Path

from passaparola.channel.mime import MimeBuilder
from passaparola.channel.sender import Branding, Dispatch, Evidence, OutboundMessage, Sender, SendResult
from passaparola.errors import Unavailable
from passaparola.failpoints import failpoint
from passaparola.settings import get_settings


class MailboxSender(Sender):
    name = "mailbox"
    medium = "email"
    branding = Branding("Email")
    batch_size = 500

    def __init__(self) -> None:
        self.root = get_settings().var / "mailbox"

    async def send(self, dispatch: Dispatch) -> SendResult:
        return await to_thread(self._keep, dispatch)

    def _keep(self, dispatch: Dispatch) -> SendResult:
        """Store each message as a file, named after the message's id and the attempt's, so that a second copy would
        be seen."""
        room = _maildir_of(self.root, dispatch.medium)
        mime = MimeBuilder(dispatch) if dispatch.medium == "email" else None
        refused: dict[str, str] = {}
        for place, message in enumerate(dispatch.messages):
            if place == len(dispatch.messages) // 2:
                failpoint("half_written")
            try:
                body = mime.build(message) if mime else _post_record(dispatch, message)
            except ValueError as error:
                refused[message.id] = str(error)
                continue
            try:
                self._deliver(room, f"{message.id},{dispatch.attempt}", body)
            except OSError as error:
                uncertain = {late.id: f"the mailbox: {error.strerror}" for late in dispatch.messages[place:]}
                if place == 0:
                    raise Unavailable(f"The mailbox cannot be written: {error.strerror}") from error
                return SendResult(refused=refused, deferred=uncertain)
        failpoint("accepted")
        return SendResult(receipt=f"mailbox:{dispatch.attempt}", refused=refused)

    def _deliver(self, room: Path, name: str, body: bytes) -> None:
        """Write a file as Maildir wants it: written aside, then moved in whole. https://cr.yp.to/proto/maildir.html"""
        aside = room / "tmp" / name
        aside.write_bytes(body)
        aside.replace(room / "new" / name)

    async def look_up(self, dispatch: Dispatch) -> Evidence:
        room = _maildir_of(self.root, dispatch.medium)
        there = {entry.name.partition(",")[0] for folder in ("new", "cur") for entry in os.scandir(room / folder)}
        ids = {message.id for message in dispatch.messages}
        return Evidence(accepted=dict.fromkeys(ids & there, "mailbox"), absent=frozenset(ids - there))


def _maildir_of(root: Path, medium: str) -> Path:
    room = root / medium
    for folder in ("tmp", "new", "cur"):
        (room / folder).mkdir(parents=True, exist_ok=True)
    return room


def _post_record(dispatch: Dispatch, message: OutboundMessage) -> bytes:
    post = {
        "medium": dispatch.medium,
        "campaign": dispatch.campaign,
        "to": message.to_address,
        "text": dispatch.skeleton.parts["text"].fill(message.values),
        "media": [{"path": media.path, "alt": media.alt} for media in dispatch.skeleton.media],
        "at": datetime.now(UTC).isoformat(),
    }
    return json.dumps(post, ensure_ascii=False, indent=1).encode()
