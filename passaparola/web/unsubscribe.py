"""Unsubscribing: GET only asks, POST opts out at once (RFC 8058)."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from passaparola.contacts import activity, consent, events
from passaparola.contacts.topics import load_topics, plain_topic
from passaparola.settings import get_settings
from passaparola.store.database import utc_now
from passaparola.web.link_context import LinkContext, not_found_page, render_page, resolve_token, store

router = APIRouter()


@router.get("/u/{token}")
def unsubscribe_page(request: Request, token: str) -> Response:
    """Show the button. Nothing changes, however many scanners follow the link."""
    with store().read() as session:
        context = resolve_token(session, "unsubscribe", token)
        return _show(request, context, done=False) if context else not_found_page(request)


@router.post("/u/{token}")
def unsubscribe(request: Request, token: str) -> Response:
    """Opt out with one click: no cookie, no login, no redirect; twice is as good as once."""
    with store().write() as session:
        context = resolve_token(session, "unsubscribe", token)
        if not context:
            return not_found_page(request)
        now, launch = utc_now(), context.launch.id
        consent.record(
            session,
            context.contact,
            context.message.medium,
            context.topic,
            False,
            at=now,
            source=f"unsubscribe link of launch {launch}",
            proof={"launch": launch, "way": "one click"},
        )
        opt_out = context.new_event("unsubscribed", now, "link", f"{context.name}/unsubscribed")
        activity.add_events(session, get_settings().currency, events.record_events(session, [opt_out]))
        return _show(request, context, done=True)


def _show(request: Request, context: LinkContext, *, done: bool) -> Response:
    language = context.person.language or get_settings().locale
    topic = load_topics(get_settings().home).get(context.topic, plain_topic(context.topic)).words(language).title
    return render_page(request, "unsubscribe.html", language, topic=topic, done=done, mute=context.launch.transactional)
