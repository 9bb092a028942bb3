"""One contact's message: plain values only, never a live object."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import col

from channels.base import Outgoing
from channels.naming import named
from contacts.models import Batch, Event
from outbox.links import Links, message_id
from outbox.render import share
from outbox.render.frozen import Ready, constants
from settings import Settings

TRAITS = ("first_name", "last_name", "language", "country", "city", "time_zone", "birthday")
EVENT = (col(Event.kind), col(Event.at), col(Event.amount), col(Event.currency), col(Event.properties))


class Personal:
    """What one contact's message is made of: plain values only, never a live object."""

    def __init__(self, content: Mapping[str, Any], batch: Batch, settings: Settings, ready_: Ready) -> None:
        self.ready, self.batch, self.settings = ready_, batch, settings
        self.links = Links(settings.secret, settings.public_url)
        self.constants, self.campaign = constants(content), content["campaign"]
        self.public = batch.medium in content["public"]
        self.answers = content.get("basis") == "transactional"
        self.headers: dict[str, str] = content.get("headers", {})
        self.plain_links = list(ready_.links)
        self.mailto = content["sender"]["reply_to"] or content["sender"]["email"]

    def message(self, row: Any) -> Outgoing:
        """Raises TemplateError, ValueError."""
        if self.public:
            id_ = message_id(row[0], self.batch.step, self.batch.medium)
            return Outgoing(id_, "", "", self.ready.values(self.constants), {})
        enrolment, _, address, tracking, custom, kind, at, amount, currency, properties, *typed = row
        id_ = message_id(enrolment, self.batch.step, self.batch.medium)
        unsubscribe = self.links.unsubscribe(id_)
        contact = custom | {name: value for name, value in zip(TRAITS, typed, strict=True) if value is not None}
        given = self.constants | {
            "contact": contact,
            "links": self.links.clicks(id_, len(self.plain_links)) if tracking else self.plain_links,
            "unsubscribe_url": unsubscribe,
            "preferences_url": self.links.preferences(id_),
            "survey_url": self.links.survey(id_),
            "pixel_url": self.links.pixel(id_) if tracking and not self.answers else "",
        }
        if self.ready.share:
            own = self.links.word(id_) if tracking else ""
            given["share"] = share.links(self.ready.share, self.campaign, own)
        if kind:
            money = {} if amount is None else {"amount": amount, "currency": currency}
            given["event"] = {"at": at, **properties, "kind": kind, **money}
        name = " ".join(part for part in typed[:2] if part)
        if self.answers:
            return Outgoing(id_, address, name, self.ready.values(given), self.headers)
        headers = {
            "List-Unsubscribe": f"<{unsubscribe}>, <mailto:{self.mailto}?subject=unsubscribe%20{named(self.settings.secret, id_)}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        return Outgoing(id_, address, name, self.ready.values(given), headers)
