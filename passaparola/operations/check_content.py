"""All content, read and rendered before anyone sends: every file is fine, or the first thing wrong in it is said."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

from passaparola.contacts import audience, topics
from passaparola.contacts.audience import Question
from passaparola.contacts.audience.words import Catalogue
from passaparola.errors import PassaparolaError
from passaparola.journeys import campaign, validate
from passaparola.settings import Settings

# Renders a message's wordings on a medium over the cast: (settings, message, medium, campaign, the event that it
# follows or none) → sentences.
CheckMessage = Callable[[Settings, str, str, str, str | None], list[str]]


def transactional_wordings(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Return (message, medium, campaign) of what goes out without a yes."""
    for name in campaign.campaign_names(settings.home):
        with suppress(PassaparolaError):
            plan = campaign.read_campaign(settings.home, name)
            if topics.basis_of(settings.home, plan.topic) == "transactional":
                yield from ((message, medium, name) for message, medium in plan.wordings_needed())


def check_content(settings: Settings, check_message: CheckMessage, words: Catalogue) -> list[str]:
    """Check all content. `words` knows the store's own traits and events, where there is a store."""
    problems: list[str] = []
    for name in audience.audience_names(settings.home):
        try:
            Question.parse(name, words).clause(datetime.now(UTC))
        except PassaparolaError as error:
            problems.append(str(error))
    for name in campaign.campaign_names(settings.home):
        try:
            plan = validate.load_campaign(settings, name, words)
        except PassaparolaError as error:
            problems.append(str(error))
            continue
        for message, medium in plan.wordings_needed():
            problems += check_message(settings, message, medium, name, plan.enter.on)
    return list(dict.fromkeys(problems))
