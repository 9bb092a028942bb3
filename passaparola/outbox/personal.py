"""One contact's message: plain values only, never a live object."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from passaparola.channel.message_ids import MessageId, sign_message_id
from passaparola.channel.sender import OutboundMessage
from passaparola.outbox.links import LinkRef, Links
from passaparola.outbox.recipients import TRAITS, Recipient
from passaparola.outbox.render import share
from passaparola.outbox.render.frozen import CutWording, launch_constants
from passaparola.settings import Settings
from passaparola.store.models import Batch


class MessageBuilder:
    """Builds one contact's message, of plain values only, never a live object."""

    def __init__(self, content: Mapping[str, Any], batch: Batch, settings: Settings, ready_: CutWording) -> None:
        self.ready, self.batch, self.settings = ready_, batch, settings
        self.links = Links(settings.secret, settings.public_url)
        self.constants, self.campaign = launch_constants(content), content["campaign"]
        self.public = batch.medium in content["public"]
        self.answers = content.get("basis") == "transactional"
        # What nobody typed says so, and no absence answers it (RFC 3834).
        self.headers: dict[str, str] = content.get("headers", {"Auto-Submitted": "auto-generated"})
        self.mailto = content["sender"]["reply_to"] or content["sender"]["email"]
        reads = ready_.reads
        made: dict[str, Callable[[str, bool], Any]] = {
            "links": self._links,
            "preferences_url": lambda id_, _: self.links.preferences(id_),
            "survey_url": lambda id_, _: self.links.survey(id_),
            "pixel_url": lambda id_, tracked: self.links.pixel(id_) if tracked and not self.answers else "",
            "share": self._share,
        }
        self.made = [(name, make) for name, make in made.items() if name in reads]

    def build(self, to: Recipient) -> OutboundMessage:
        """Build one contact's message. Raises TemplateError, ValueError."""
        id_ = str(MessageId(to.enrolment_id, self.batch.step, self.batch.medium))
        if self.public:
            return OutboundMessage(id_, "", "", self.ready.values(self.constants), {})
        contact = without_point(to.traits)
        for trait in TRAITS:
            if (value := getattr(to, trait)) is not None:
                contact[trait] = value
        unsubscribe = self.links.unsubscribe(id_)
        given = {**self.constants, "contact": contact, "unsubscribe_url": unsubscribe}
        for name, make in self.made:
            given[name] = make(id_, bool(to.tracking))
        if to.event_kind:
            given["event"] = _event_values(to)
        full_name = " ".join(part for part in (to.first_name, to.last_name) if part)
        headers = self.headers if self.answers else self._unsubscribe_headers(id_, unsubscribe)
        return OutboundMessage(id_, to.address, full_name, self.ready.values(given), headers)

    def _ref(self, id_: str) -> LinkRef:
        message = MessageId.parse(id_)
        assert message is not None
        return LinkRef(message, self.batch.launch_id, self.batch.locale, self.batch.variant)

    def _links(self, id_: str, tracked: bool) -> Sequence[str]:
        return self.links.clicks(self._ref(id_), len(self.ready.links)) if tracked else self.ready.links

    def _share(self, id_: str, tracked: bool) -> dict[str, str]:
        assert self.ready.share
        return share.share_links(
            self.ready.share, self.campaign, self.links.referral(self._ref(id_)) if tracked else ""
        )

    def _unsubscribe_headers(self, id_: str, unsubscribe: str) -> dict[str, str]:
        """Build the unsubscribe headers: one click (RFC 8058), and a mail address for whoever has no browser."""
        by_letter = f"mailto:{self.mailto}?subject=unsubscribe%20{sign_message_id(self.settings.secret, id_)}"
        return {
            "List-Unsubscribe": f"<{unsubscribe}>, <{by_letter}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }


def without_point(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return traits with whole numbers as integers: JSON and a file's columns make 1200.0 of 1200."""
    return {
        name: int(value) if type(value) is float and value.is_integer() else value for name, value in values.items()
    }


def _event_values(to: Recipient) -> dict[str, Any]:
    """Return the event that started the enrolment, as templates read it."""
    money = {} if to.event_amount is None else {"amount": to.event_amount, "currency": to.event_currency}
    return {"at": to.event_at, **without_point(to.event_properties or {}), "kind": to.event_kind, **money}
