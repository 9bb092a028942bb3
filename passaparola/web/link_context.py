"""Who stands at the door: the contact whose letter's link was followed, in which language, and whether it is a
machine."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.templating import Jinja2Templates
from sqlalchemy import select
from sqlmodel import Session, col
from starlette.routing import Route

from passaparola.channel import registry
from passaparola.channel.message_ids import MessageId
from passaparola.contacts.audience.compile import latest_consent
from passaparola.contacts.events import NewEvent
from passaparola.contacts.merging import resolve_contact
from passaparola.outbox.links import LinkRef, Links, Purpose
from passaparola.outbox.render.frozen import wording_key
from passaparola.settings import get_settings
from passaparola.store.database import Store
from passaparola.store.models import Batch, Contact, Enrolment, Launch, Message

pages = Jinja2Templates(Path(__file__).parent / "pages")
pages.env.globals["branding"] = registry.branding_of
LANGUAGES = ("it", "en")
# Scanners that say who they are, and programs that are no browser.
BOT_AGENTS = re.compile(
    r"bot\b|crawl|spider|scan|preview|barracuda|proofpoint|mimecast|safelinks|symantec|trend ?micro|fortinet|zscaler|"
    r"curl|wget|python|java/|go-http|okhttp|libwww|httpclient|headless",
    re.I,
)


@cache
def store() -> Store:
    return Store(get_settings().database, busy_timeout=4).open()  # nobody waits longer for a page


def links() -> Links:
    settings = get_settings()
    return _links(settings.secret, settings.public_url)


@cache
def _links(secret: str, public_url: str) -> Links:
    return Links(secret, public_url)


@dataclass(frozen=True)
class LinkContext:
    """The message whose link was followed, and its contact."""

    message: Message
    enrolment: Enrolment
    launch: Launch
    person: Contact
    batch: Batch | None
    tracked: bool  # whether they allow that we know what they follow and pass on

    @property
    def contact(self) -> int:
        assert self.person.id is not None
        return self.person.id

    @property
    def message_id(self) -> MessageId:
        return MessageId(self.message.enrolment_id, self.message.step, self.message.medium)

    @property
    def name(self) -> str:
        return str(self.message_id)

    @property
    def topic(self) -> str:
        return str(self.launch.content["topic"])

    def wording(self) -> dict[str, Any]:
        """Return the message's frozen wording."""
        message = self.launch.content["steps"][self.message.step]["say"]
        key = wording_key(message, self.batch.variant if self.batch else "", self.message.medium)
        locale = self.batch.locale if self.batch else self.launch.content["locale"]
        wording: dict[str, Any] = self.launch.content["messages"][key][locale]
        return wording

    @property
    def ref(self) -> LinkRef:
        """Return the reference that a link of this message carries."""
        locale = self.batch.locale if self.batch else self.launch.content["locale"]
        return LinkRef(self.message_id, self.launch.id or 0, locale, self.batch.variant if self.batch else "")

    def new_event(self, kind: str, at: datetime, source: str, source_id: str) -> NewEvent:
        """Build an event of this message, to be recorded."""
        id_, properties = self.message_id, self.of_it()
        return NewEvent(
            self.contact,
            kind,
            at,
            at,
            source,
            source_id,
            properties=properties,
            enrolment_id=id_.enrolment,
            step=id_.step,
            medium=id_.medium,
        )

    def of_it(self) -> dict[str, Any]:
        """Return the properties of an event that came from this message."""
        key = self.launch.content["enter"].get("key")
        key_property = {key: self.enrolment.key} if key else {}
        return {"campaign": self.launch.campaign, "launch": self.launch.id, **key_property}


def resolve_token(session: Session, purpose: Purpose, token: str) -> LinkContext | None:
    """Resolve a signed token to its message. Return None whatever is wrong with it, so that nothing is learnt from
    the answer."""
    id_ = links().read(purpose, token)
    key = MessageId.parse(id_) if id_ else None
    message = session.get(Message, key) if key else None
    enrolment = session.get(Enrolment, message.enrolment_id) if message else None
    launch = session.get(Launch, enrolment.launch_id) if enrolment else None
    if not (message and enrolment and launch and enrolment.contact_id):
        return None
    person = session.get(Contact, resolve_contact(session, enrolment.contact_id))
    if person is None or person.erased_at:
        return None
    batch = session.execute(select(Batch).where(col(Batch.id) == message.batch_id)).scalar()
    allowed = select(latest_consent(col(Contact.id), message.medium, "tracking")).where(col(Contact.id) == person.id)
    return LinkContext(message, enrolment, launch, person, batch, bool(session.execute(allowed).scalar()))


def get_only(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    """Build a route for GET alone: by itself Starlette would count a HEAD as a visit, too."""
    route = Route(path, endpoint, methods=["GET"])
    route.methods = {"GET"}
    return route


def render_page(request: Request, name: str, language: str | None, status: int = 200, **shown: object) -> Response:
    spoken = "it" if (language or request_language(request)) == "it" else "en"
    return pages.TemplateResponse(request, name, {"it": spoken == "it", "lang": spoken, **shown}, status_code=status)


def not_found_page(request: Request) -> Response:
    return render_page(request, "lost.html", request_language(request), 404)


def unavailable_page(request: Request) -> Response:
    """Show that the store is busy or away: nothing was changed, and the same request may succeed in a while."""
    sentence = "We cannot write anything down at the moment. Nothing was changed; please try again in a minute."
    page = pages.TemplateResponse(request, "sorry.html", {"sentence": sentence}, status_code=503)
    page.headers["Retry-After"] = "30"
    return page


def request_language(request: Request) -> str:
    return request.headers.get("accept-language", "en")[:2].lower()


def bot_reason(headers: Mapping[str, str]) -> str:
    """Return why a request is taken for a machine's; empty where it may be a person's."""
    if any("prefetch" in headers.get(name, "").lower() for name in ("sec-purpose", "purpose", "x-moz", "x-purpose")):
        return "fetched before anyone looked"
    return _agent_reason(headers.get("user-agent", "")[:500])


@lru_cache(maxsize=4_096)  # the same few hundred browsers ask all day
def _agent_reason(agent: str) -> str:
    if not agent.strip() or agent.strip() == "Mozilla/5.0":
        return "no browser said who it is"
    match = BOT_AGENTS.search(agent)
    return f"a program: {match[0].lower()}" if match else ""


def consent_proof(request: Request, words: str, language: str) -> dict[str, Any]:
    """Return the proof of a consent: from where, and to which words. It is what a data protection authority asks
    for."""
    return {
        "words": words[:1_000],
        "language": language,
        "page": request.url.path.split("/")[1],
        "network_address": request.client.host if request.client else "",
        "agent": request.headers.get("user-agent", "")[:200],
    }
