"""Telling whoever runs this that something needs them, by whatever they read: mail, chat, a phone.

Through Apprise, which knows how to reach some hundred and seventy of them: PASSAPAROLA_ALERT_URLS holds its
addresses, such as `mailto://user:pass@example.org` or `ntfy://topic`. https://appriseit.com/
"""

import logging

from passaparola.settings import Settings
from passaparola.store import incidents
from passaparola.store.database import Store, utc_now

log = logging.getLogger("passaparola")


def send_alerts(store: Store, settings: Settings) -> int:
    """Send a sentence on each incident that nobody was notified of yet. Return how many; without an address they
    are logged."""
    with store.read() as session:
        fresh = incidents.pending_notifications(session)
    sentences = [incidents.describe_incident(incident, settings.time_zone) for incident in fresh]
    if not sentences:
        return 0
    for sentence in sentences:
        log.warning(sentence)
    if settings.alert_urls and not _send(settings, "\n".join(sentences)):
        log.warning("PASSAPAROLA_ALERT_URLS: one of the addresses could not be reached; it is tried again")
        return 0
    with store.write() as session:
        incidents.mark_notified(session, fresh, utc_now())
    return len(sentences)


def _send(settings: Settings, text: str) -> bool:
    import apprise

    bell = apprise.Apprise()
    for address in settings.alert_urls.split():
        bell.add(address)
    return bool(bell.notify(title=f"{settings.organisation}: a channel needs you", body=text))
