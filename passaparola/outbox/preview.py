"""What an approver sees: who, who not and why, what it says to whom, and what it costs. Nothing is kept."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jinja2 import TemplateError
from sqlalchemy import func, select

from passaparola.channel.registry import sender_for
from passaparola.channel.sender import Skeleton
from passaparola.contacts import audience
from passaparola.contacts.audience import Question
from passaparola.outbox import guards, repeats
from passaparola.outbox.guards import FrequencyCap, GuardContext
from passaparola.outbox.pricing import Costs
from passaparola.outbox.render.cast import CAST
from passaparola.outbox.render.check import sample_values
from passaparola.outbox.render.frozen import FrozenWording, cut_wording, launch_constants, wording_key
from passaparola.outbox.wordings import StepWordings
from passaparola.settings import Settings
from passaparola.store.database import Store
from passaparola.store.models import Address, Contact, wording_hash


@dataclass(frozen=True)
class Sample:
    """A wording as one of the cast would see it."""

    message: str
    medium: str
    locale: str
    subject: str
    text: str
    html: str
    note: str = ""
    media: tuple[tuple[str, str, str], ...] = ()


@dataclass
class Preview:
    campaign: str
    title: str
    audience: str
    who: str
    enrolled: int
    media: dict[str, dict[str, int]] = field(default_factory=dict)  # medium → reason → count; "" may be written to
    samples: list[Sample] = field(default_factory=list)
    costs: Costs = field(default_factory=Costs)
    channels: dict[str, str] = field(default_factory=dict)
    wording: str = ""  # the hash of what was shown

    @property
    def sendable(self) -> int:
        return max((counts.get("", 0) for counts in self.media.values()), default=0)

    def as_json(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign,
            "audience": self.audience,
            "enrolled": self.enrolled,
            "sendable": self.sendable,
            "media": {m: {reason or "sendable": n for reason, n in counts.items()} for m, counts in self.media.items()},
            "costs": self.costs.as_json(),
            "channels": self.channels,
            "samples": [
                {
                    "message": s.message,
                    "medium": s.medium,
                    "locale": s.locale,
                    "subject": s.subject,
                    "text": s.text,
                    "note": s.note,
                }
                for s in self.samples
            ],
        }

    def as_text(self) -> str:
        where = f"in “{self.audience}”" if self.audience else "contacts; it takes in " + self.who
        lines = [f"{self.title}: {self.enrolled:,} {where}"]
        for medium, counts in self.media.items():
            lines.append(f"  {medium} by {self.channels[medium]}: {counts.get('', 0):,} would get it")
            lines += [f"    {n:,} would not: {reason}" for reason, n in sorted(counts.items()) if reason]
        for sample in self.samples:
            note = f" ({sample.note})" if sample.note else ""
            text = sample.subject or sample.text.replace("\n", " ")
            lines.append(f"  {sample.medium} in {sample.locale}{note}: {text}".replace("[", r"\["))
        lines.append(f"  cost: {self.costs}")
        return "\n".join(lines)


def build_preview(store: Store, settings: Settings, content: dict[str, Any], now: datetime) -> Preview:
    """Build the preview of a campaign from what would be frozen, by the guards and the renderer that send."""
    seen = Preview(
        content["campaign"],
        content["title"],
        content["audience"] or "",
        content["who"] or f"who does {content['enter']['on']} from now on",
        0,
        channels=content["channels"],
        wording=wording_hash(content),
    )
    with store.read() as session:
        words = audience.load_catalogue(session, settings)
        # Who will do something is not known; of everyone, those who may not be written to are shown with the reason.
        question = Question.parse(content["audience"] or "everyone", words)
        seen.enrolled = audience.count_members(session, question, now)
        for medium in sorted({m for step in content["steps"] for m in step.get("by", ())} - set(content["public"])):
            first = next(step for step in content["steps"] if medium in step.get("by", ()))
            context, cap = (
                GuardContext.with_repeats(session, content, medium, first, repeats.LAST_LAUNCH),
                FrequencyCap.from_settings(settings),
            )
            reason = guards.hold_reason(
                context, cap, StepWordings.for_medium(content, first, medium).hash_column()
            ).label("reason")
            counts = (
                select(reason, func.count())
                .select_from(Contact)
                .outerjoin(Address, guards.address_written_to(medium))
                .where(question.members(now))
                .group_by(reason)
            )
            seen.media[medium] = {
                why or "": n for why, n in session.execute(counts, guards.guard_instants(context, cap, now))
            }
    _add_samples(seen, settings, content)
    return seen


def _add_samples(seen: Preview, settings: Settings, content: dict[str, Any]) -> None:
    skeletons: dict[str, dict[str, Skeleton]] = {}
    for key, wordings in content["messages"].items():
        message, _, medium = key.rpartition("/")  # a variant is a sub-folder of its message
        channel = sender_for(medium, settings)
        for locale, given in wordings.items():
            wording = FrozenWording.model_validate(given)
            if channel.public and locale != content["locale"] and content["locale"] in wordings:
                continue
            cut = cut_wording(wording, locale, launch_constants(content))
            contact = next((c for c in CAST.values() if c.get("language") == locale), CAST["Anna"])
            try:
                values = cut.values(
                    {**launch_constants(content), **sample_values(contact, wording, content["enter"].get("on"))}
                )
            except (TemplateError, ValueError, TypeError) as error:
                reason = error.message if isinstance(error, TemplateError) else str(error)
                seen.samples.append(Sample(message, medium, locale, "", f"no sample: {reason}", ""))
                continue
            filled = {name: part.fill(values) for name, part in cut.skeleton.parts.items()}
            skeletons.setdefault(key, {})[locale] = cut.skeleton
            seen.samples.append(
                Sample(
                    message,
                    medium,
                    locale,
                    filled.get("subject", ""),
                    filled["text"],
                    filled.get("html", ""),
                    channel.approval_note(cut.skeleton),
                    wording.media,
                )
            )
    for step in content["steps"]:
        for medium in step.get("by", ()):
            _add_cost(seen, settings, content, step, medium, skeletons)


def _add_cost(
    seen: Preview,
    settings: Settings,
    content: dict[str, Any],
    step: dict[str, Any],
    medium: str,
    skeletons: dict[str, dict[str, Skeleton]],
) -> None:
    """Add what a step costs. Each recipient is counted once, whichever language and variant they read."""
    sendable = 1 if medium in content["public"] else seen.media.get(medium, {}).get("", 0)
    for variant, percent in (step.get("variants") or {"": 100}).items():
        spoken = skeletons.get(wording_key(step["say"], variant, medium), {})
        if skeleton := spoken.get(content["locale"]) or next(iter(spoken.values()), None):
            seen.costs.add(settings, medium, sender_for(medium, settings), skeleton, round(sendable * percent / 100))
