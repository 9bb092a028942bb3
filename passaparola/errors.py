"""Everything that can be said to have gone wrong, in words for the person who can mend it.

PassaparolaError            shown as one sentence, never as a traceback
├── Misconfigured           a setting, a key, a port: the operator mends it
├── NotMigrated             the database is older or newer than the code
├── BadContent              a file of a marketer's: path, line, field and the nearest right thing
│   └── BadQuestion         a text in the audience language, with the position in it
├── Unknown                 no such campaign, audience, contact, launch
├── NotAllowed              the state forbids it: an expired approval, a recalled launch
├── Forged                  a body from outside whose signature does not hold
└── ChannelError            what a provider answered; raised by channels only
    ├── Refused             definitely not accepted, and never will be; names the messages it can name
    ├── TooLarge            definitely not accepted; the same messages in smaller requests may be
    ├── Unavailable         definitely not accepted; try again after a while
    │   └── Slower          the provider asked for it: nobody calls it until then
    ├── Blocked             definitely not accepted: our key, sender or account; nothing passes until someone acts
    └── Uncertain           may have been accepted: nobody may try again without evidence
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class PassaparolaError(Exception):
    pass


class Misconfigured(PassaparolaError):
    pass


class NotMigrated(PassaparolaError):
    pass


class BadContent(PassaparolaError):
    """`where` is a path such as `campaigns/spring.yaml:4`."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message, self.where = message, where


class BadQuestion(BadContent):
    """`column` counts from 1 in `text`; the message draws a caret under it."""

    def __init__(self, message: str, text: str, column: int, line: int = 1, where: str = "") -> None:
        shown = text.splitlines()[line - 1] if text.strip() else ""
        drawn = f"{message}\n    {shown}\n    {' ' * (column - 1)}^" if shown else message
        super().__init__(drawn, where)
        self.sentence, self.column, self.line = message, column, line


class Unknown(PassaparolaError):
    pass


class NotAllowed(PassaparolaError):
    pass


class Forged(PassaparolaError):
    pass


class ChannelError(PassaparolaError):
    pass


class Refused(ChannelError):
    """`messages` maps the ids the provider named to its reason; empty when it named none."""

    def __init__(self, reason: str, messages: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.messages = dict(messages or {})


class TooLarge(ChannelError):
    pass


class Unavailable(ChannelError):
    """`after` is the number of seconds the provider asked for, or our own patience."""

    def __init__(self, reason: str, after: float = 30.0) -> None:
        super().__init__(reason)
        self.after = after


class Slower(Unavailable):
    pass


class Blocked(ChannelError):
    pass


class Uncertain(ChannelError):
    pass


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean “country”?` when one is near, else a list of what there is."""
    names = sorted(known)
    if near := get_close_matches(word, names, n=1, cutoff=0.6):
        return f"; did you mean “{near[0]}”?"
    if not names:
        return "; there is none yet."
    return f"; there is {', '.join(names[:12])}{' …' if len(names) > 12 else '.'}"
