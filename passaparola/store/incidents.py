"""What keeps a channel from speaking or listening, until someone mends it: noted once, told once, and shown wherever one looks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlmodel import Session, col

from passaparola import clock
from passaparola.channel import registry
from passaparola.errors import Misconfigured, Unknown
from passaparola.store.database import audit, insert_new
from passaparola.store.models import Listened, Rest, Trouble

Way = Literal["speaking", "listening"]


def note(session: Session, channel: str, way: Way, reason: str, now: datetime) -> None:
    """A channel that may not speak is paused: nothing of any campaign goes to it, and nothing else waits for it."""
    # Two workers may meet the same refusal at once.
    new = insert_new(session, Trouble).values(channel=channel, way=way, since=now, reason=reason[:300], told_at=None)
    if session.execute(new.returning(col(Trouble.channel))).scalar() is not None:
        who = "outbox" if way == "speaking" else "listen"
        audit(session, now, who, "paused", f"channel:{channel}", because=reason[:300])


def rest(session: Session, channel: str, until: datetime) -> None:
    """The provider asked for a pause; the longest one that was asked for holds."""
    known = session.get(Rest, channel, with_for_update=True)
    if known is None:
        session.execute(insert_new(session, Rest).values(channel=channel, until=until))
    elif known.until < until:
        known.until = until


def resting(session: Session, now: datetime) -> dict[str, datetime]:
    """Channels that are left alone for now, and until when."""
    rests = select(col(Rest.channel), col(Rest.until)).where(col(Rest.until) > now)
    return dict(row for row in session.execute(rests))


def over(session: Session, channel: str, way: Way) -> bool:
    """It works again. Returns whether it had not."""
    known = session.get(Trouble, (channel, way))
    if known is not None:
        session.delete(known)
    return known is not None


def resume(session: Session, channel: str, *, actor: str, now: datetime) -> None:
    """Let a paused channel speak again. Raises Unknown: it is not paused."""
    if not over(session, channel, "speaking"):
        paused = sorted(one.channel for one in standing(session) if one.way == "speaking")
        raise Unknown(f"“{channel}” is not paused; {'paused: ' + ', '.join(paused) if paused else 'no channel is'}.")
    audit(session, now, actor, "resumed", f"channel:{channel}")


def standing(session: Session) -> list[Trouble]:
    """What is wrong now, the oldest first."""
    return list(session.execute(select(Trouble).order_by(col(Trouble.since), col(Trouble.channel))).scalars())


def untold(session: Session) -> list[Trouble]:
    """Of which nobody was told yet."""
    return [one for one in standing(session) if one.told_at is None]


def told(session: Session, those: Iterable[Trouble], now: datetime) -> None:
    """Those, and none that came while they were told."""
    for one in those:
        known = session.get(Trouble, (one.channel, one.way))
        if known and known.since == one.since:
            known.told_at = now


def sentence(trouble: Trouble, zone: str) -> str:
    """`zone` is the house's."""
    what = "is paused" if trouble.way == "speaking" else "hears nothing"
    return f"{trouble.channel} {what} since {clock.shown(trouble.since, zone, '%d %B, %H:%M')}: {trouble.reason}"


@dataclass(frozen=True)
class Voice:
    """One channel as it is: `speaks` and `listens` say so, or why not; empty where it never does."""

    channel: str
    title: str
    speaks: str
    listens: str
    paused: bool


def overview(session: Session, zone: str) -> list[Voice]:
    """Every file of channels/, the paused ones first."""
    wrong = {(one.channel, one.way): one for one in standing(session)}
    looked = {one.source: one for one in session.execute(select(Listened)).scalars()}
    found = []
    for name in sorted({*registry.names(), *registry.ears()}):
        title = registry.get(name).look.title if name in registry.names() else name.replace("_", " ")
        speaks = (_said(wrong.get((name, "speaking"))) or _speaks(name)) if name in registry.names() else ""
        listens = (
            (_said(wrong.get((name, "listening"))) or _listens(name, looked.get(name), zone))
            if name in registry.ears()
            else ""
        )
        found.append(Voice(name, title, speaks, listens, (name, "speaking") in wrong))
    return sorted(found, key=lambda one: not one.paused)


def _said(trouble: Trouble | None) -> str:
    return f"paused: {trouble.reason}" if trouble else ""


def _speaks(name: str) -> str:
    try:
        registry.get(name)()
    except Misconfigured as error:
        return f"no: {error}"
    except Exception as error:  # a setting that is no address, a library that does not load
        return f"no: {type(error).__name__}"
    return "yes"


def _listens(name: str, looked: Listened | None, zone: str) -> str:
    if name not in registry.polls():
        return "when told"
    if looked is None:
        return "never looked"
    return f"{looked.problem or 'looked'} ({clock.shown(looked.at, zone, '%d %B, %H:%M')})"
