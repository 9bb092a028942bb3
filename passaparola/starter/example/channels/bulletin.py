"""Bulletin: an example of a channel of your own. Its posts are lines of var/bulletin.md; nothing leaves the machine.

`passaparola channel list` shows it; a campaign that says `by: [bulletin]` uses it, with the words of
templates/<message>/post.txt.
"""

from pathlib import Path

from passaparola.channel import posts
from passaparola.channel.sender import Branding, Dispatch, Evidence, Sender, SendResult
from passaparola.settings import get_settings


class BulletinSender(Sender):
    """Append each post to a file, under our id of it, so that a look-up finds it again."""

    name = "bulletin"
    medium = "bulletin"
    public = True
    branding = Branding("Bulletin", "#475569")

    async def send(self, dispatch: Dispatch) -> SendResult:
        """Write one post down."""
        id_ = dispatch.messages[0].id
        with self._file().open("a", encoding="utf-8") as file:
            file.write(f"<!-- {id_} -->\n{posts.dispatch_text(dispatch)}\n\n")
        return SendResult(receipt=id_, receipts={id_: id_})

    async def look_up(self, dispatch: Dispatch) -> Evidence:
        """Say whether a post is in the file."""
        id_ = dispatch.messages[0].id
        there = self._file().exists() and f"<!-- {id_} -->" in self._file().read_text(encoding="utf-8")
        return Evidence({id_: id_}) if there else Evidence(absent=frozenset([id_]))

    def _file(self) -> Path:
        get_settings().var.mkdir(parents=True, exist_ok=True)
        return get_settings().var / "bulletin.md"
