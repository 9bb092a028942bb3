"""A plan read as a whole: what it names exists, every step can be reached, and nobody waits for ever."""

import re
from datetime import UTC, datetime
from itertools import islice, product
from pathlib import Path

from passaparola.channel import registry
from passaparola.channel.registry import speaking
from passaparola.contacts import audience, topics
from passaparola.contacts.audience import Question, tree
from passaparola.contacts.audience.words import Catalogue
from passaparola.errors import BadContent, BadQuestion, PassaparolaError, did_you_mean
from passaparola.journeys import campaign as campaigns
from passaparola.journeys import times
from passaparola.journeys.campaign import Campaign, Pause, Say, WaitFor
from passaparola.settings import Settings

# What somebody looked at or what became of a letter: nobody asked for anything by it.
NO_REQUEST = {
    "checkout_started", "product_viewed", "product_added", "product_reviewed", "cart_viewed", "coupon_applied", "store_visited", "delivered", "bounced",
    "opened", "clicked", "mentioned", "liked", "shared", "complained", "unsubscribed", "friend_visited",
}  # fmt: skip
MOST_LEAVES = 10  # of a condition that is tried out in full: a thousand cases


def load(settings: Settings, name: str, words: Catalogue) -> Campaign:
    """A campaign that makes sense. `words` knows the store's own traits and events. Raises Unknown, BadContent."""
    plan = campaigns.read(settings.home, name)
    _Reading(settings, name, plan, words).check()
    return plan


class _Reading:
    def __init__(self, settings: Settings, name: str, plan: Campaign, words: Catalogue) -> None:
        self.settings, self.plan, self.words = settings, plan, words
        self.path = settings.home / "campaigns" / f"{name}.yaml"

    def check(self) -> None:
        self._enters()
        self._asked_for()
        self._leaves()
        for number, step in enumerate(self.plan.steps):
            match step:
                case Say():
                    self._says(step)
                case WaitFor():
                    self._waits_for(step)
            if step.when:
                self._condition(step.when, f"step {number + 1} is never reached")
        self._once()
        if not isinstance(self.plan.steps[-1], Say):
            word = self.plan.steps[-1].wait if isinstance(self.plan.steps[-1], Pause) else "wait for"
            raise self._wrong("nothing comes after this wait; say something, or leave it out", word)

    def _enters(self) -> None:
        enter = self.plan.enter
        if enter.audience and enter.audience not in (known := audience.names(self.settings.home)):
            raise self._wrong(
                f"there is no audience “{enter.audience}”{did_you_mean(enter.audience, known)}", enter.audience
            )
        if enter.on:
            self._event(enter.on)
        if enter.every:
            zone = enter.zone or self.settings.time_zone
            if times.following(times.cron(enter.every), zone, datetime(2026, 1, 1, tzinfo=UTC)) is None:
                raise self._wrong(f"“{enter.every}” never comes; is that day in the calendar?", "every")

    def _asked_for(self) -> None:
        """What goes out without a yes is of a person's own order or request, and of nothing else."""
        if topics.basis_of(self.settings.home, self.plan.topic) != "transactional":
            return
        remedy = "enter on something like order_completed, or choose a topic that people say yes to"
        if self.plan.enter.on is None:
            raise self._wrong(
                f"“{self.plan.topic}” is transactional: it answers one person's order or request; {remedy}",
                self.plan.topic,
            )
        if self.plan.enter.on in NO_REQUEST:
            raise self._wrong(
                f"{self.plan.enter.on} is no order and no request, and “{self.plan.topic}” is transactional; {remedy}",
                self.plan.enter.on,
            )

    def _leaves(self) -> None:
        leave, enter, goal = self.plan.leave, self.plan.enter, self.plan.goal
        if goal:
            self._event(goal.on)
        if leave and leave.on:
            self._event(leave.on)
            if leave.on == enter.on and enter.key:
                raise self._wrong(
                    f"who enters on {enter.on} by {enter.key} can't leave on it: each {enter.key} happens once", "leave"
                )
        if leave and leave.when:
            self._condition(leave.when, "nobody ever leaves")

    def _says(self, step: Say) -> None:
        for medium in step.by:
            if medium not in registry.spoken():
                raise self._wrong(f"“{medium}” is not a medium{did_you_mean(medium, registry.spoken())}", medium)
            if (self.plan.enter.on or step.when or step.variants) and self._is_public(medium):
                why = (
                    f"people enter it one by one on {self.plan.enter.on}" if self.plan.enter.on
                    else "a condition asks one person" if step.when else "variants share people"
                )  # fmt: skip
                raise self._wrong(f"{medium} speaks to everybody, and {why}; leave it out of “by”", medium)
        if len(set(step.by)) < len(step.by):
            raise self._wrong("a medium stands twice in “by”", "by")
        folder = self.settings.home / "templates" / step.say
        if step.variants and not any((folder / variant).is_dir() for variant in step.variants):
            example = next(reversed(step.variants))
            raise self._wrong(f"the variants say the same; write templates/{step.say}/{example}/", "variants")

    def _waits_for(self, step: WaitFor) -> None:
        self._event(step.wait_for)
        if step.up_to is None:
            raise self._wrong("this waits for ever for who never does it; add “up to: 5 days”", step.wait_for)
        if self.plan.leave and self.plan.leave.on == step.wait_for:
            raise self._wrong(f"who does {step.wait_for} leaves, so waiting for it leads nowhere", step.wait_for)

    def _once(self) -> None:
        said = [(step.say, medium) for step in self.plan.says() for medium in step.by]
        if len(set(said)) < len(said):
            raise self._wrong("the same message is said twice by one medium", "steps")

    def _is_public(self, medium: str) -> bool:
        try:
            return speaking(medium, self.settings).public
        except PassaparolaError:
            return False

    def _event(self, name: str) -> None:
        if name not in (known := self.words.known_events):
            raise self._wrong(f"“{name}” is not an event{did_you_mean(name, known)}", name)

    def _condition(self, text: str, consequence: str) -> None:
        try:
            node = Question.of(text, self.words).node
        except BadQuestion as error:
            raise self._wrong(str(error), text.split()[0]) from None
        if not _can_hold(node):
            raise self._wrong(f"“{text}” contradicts itself: {consequence}", text)

    def _wrong(self, message: str, word: str) -> BadContent:
        return BadContent(message, f"campaigns/{self.path.name}:{_line(self.path, word)}")


def _can_hold(node: tree.Node) -> bool:
    """Whether any truth of its parts makes a condition true; parts that ask the same count as one."""
    leaves = list(dict.fromkeys(part.model_dump_json() for part in node.walk() if not part.parts))
    if len(leaves) > MOST_LEAVES:
        return True
    return any(
        _holds(node, dict(zip(leaves, truth, strict=True)))
        for truth in islice(product((True, False), repeat=len(leaves)), 2**MOST_LEAVES)
    )


def _holds(node: tree.Part, truth: dict[str, bool]) -> bool:
    match node:
        case tree.All(of=parts):
            return all(_holds(part, truth) for part in parts)
        case tree.Any(of=parts):
            return any(_holds(part, truth) for part in parts)
        case tree.Not(part=part):
            return not _holds(part, truth)
        case tree.Everyone():
            return True
    return truth[node.model_dump_json()]


def _line(path: Path, word: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    exact = (n for n, line in enumerate(lines, 1) if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", line))
    return next(exact, 1)
