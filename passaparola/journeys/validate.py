"""Validation of a campaign: what it names exists, every step can be reached, and nobody waits for ever."""

import re
from datetime import UTC, datetime
from itertools import islice, product
from pathlib import Path

from passaparola.channel import registry
from passaparola.channel.registry import sender_for
from passaparola.contacts import audience, topics
from passaparola.contacts.audience import Question, tree
from passaparola.contacts.audience.words import Catalogue
from passaparola.errors import BadContent, BadQuestion, PassaparolaError, did_you_mean
from passaparola.journeys import campaign as campaigns
from passaparola.journeys import times
from passaparola.journeys.campaign import Campaign, Pause, Say, WaitFor
from passaparola.settings import Settings

# What somebody looked at or what became of a letter: nobody asked for anything by it.
NOT_A_REQUEST = {
    "checkout_started",
    "product_viewed",
    "product_added",
    "product_reviewed",
    "cart_viewed",
    "coupon_applied",
    "store_visited",
    "delivered",
    "bounced",
    "opened",
    "clicked",
    "mentioned",
    "liked",
    "shared",
    "complained",
    "unsubscribed",
    "friend_visited",
}
MAX_LEAVES = 10  # of a condition that is tried out in full: a thousand cases


def load_campaign(settings: Settings, name: str, words: Catalogue) -> Campaign:
    """Load a campaign and validate it. `words` knows the store's own traits and events. Raises Unknown, BadContent."""
    plan = campaigns.read_campaign(settings.home, name)
    _Validation(settings, name, plan, words).check()
    return plan


class _Validation:
    def __init__(self, settings: Settings, name: str, plan: Campaign, words: Catalogue) -> None:
        self.settings, self.plan, self.words = settings, plan, words
        self.path = settings.home / "campaigns" / f"{name}.yaml"

    def check(self) -> None:
        self._check_enter()
        self._check_transactional()
        self._check_leave()
        for number, step in enumerate(self.plan.steps):
            match step:
                case Say():
                    self._check_say(step)
                case WaitFor():
                    self._check_wait_for(step)
            if step.when:
                self._check_condition(step.when, f"step {number + 1} is never reached")
        self._check_said_once()
        if not isinstance(self.plan.steps[-1], Say):
            word = self.plan.steps[-1].wait if isinstance(self.plan.steps[-1], Pause) else "wait for"
            raise self._error("nothing comes after this wait; say something, or leave it out", word)

    def _check_enter(self) -> None:
        enter = self.plan.enter
        if enter.audience and enter.audience not in (known := audience.audience_names(self.settings.home)):
            raise self._error(
                f"there is no audience “{enter.audience}”{did_you_mean(enter.audience, known)}", enter.audience
            )
        if enter.on:
            self._check_event(enter.on)
        if enter.every:
            zone = enter.zone or self.settings.time_zone
            if times.next_occurrence(times.parse_schedule(enter.every), zone, datetime(2026, 1, 1, tzinfo=UTC)) is None:
                raise self._error(f"“{enter.every}” never comes; is that day in the calendar?", "every")

    def _check_transactional(self) -> None:
        """Check that a transactional campaign is about a person's own order or request, and nothing else."""
        if topics.basis_of(self.settings.home, self.plan.topic) != "transactional":
            return
        remedy = "enter on something like order_completed, or choose a topic that people say yes to"
        if self.plan.enter.on is None:
            raise self._error(
                f"“{self.plan.topic}” is transactional: it answers one person's order or request; {remedy}",
                self.plan.topic,
            )
        if self.plan.enter.on in NOT_A_REQUEST:
            raise self._error(
                f"{self.plan.enter.on} is no order and no request, and “{self.plan.topic}” is transactional; {remedy}",
                self.plan.enter.on,
            )

    def _check_leave(self) -> None:
        leave, enter, goal = self.plan.leave, self.plan.enter, self.plan.goal
        if goal:
            self._check_event(goal.on)
        if leave and leave.on:
            self._check_event(leave.on)
            if leave.on == enter.on and enter.key:
                raise self._error(
                    f"who enters on {enter.on} by {enter.key} can't leave on it: each {enter.key} happens once", "leave"
                )
        if leave and leave.when:
            self._check_condition(leave.when, "nobody ever leaves")

    def _check_say(self, step: Say) -> None:
        for medium in step.by:
            if medium not in registry.sendable_media():
                raise self._error(
                    f"“{medium}” is not a medium{did_you_mean(medium, registry.sendable_media())}", medium
                )
            if (self.plan.enter.on or step.when or step.variants) and self._is_public(medium):
                why = (
                    f"people enter it one by one on {self.plan.enter.on}"
                    if self.plan.enter.on
                    else "a condition asks one person"
                    if step.when
                    else "variants share people"
                )
                raise self._error(f"{medium} speaks to everybody, and {why}; leave it out of “by”", medium)
        if len(set(step.by)) < len(step.by):
            raise self._error("a medium stands twice in “by”", "by")
        folder = self.settings.home / "templates" / step.say
        if step.variants and not any((folder / variant).is_dir() for variant in step.variants):
            example = next(reversed(step.variants))
            raise self._error(f"the variants say the same; write templates/{step.say}/{example}/", "variants")

    def _check_wait_for(self, step: WaitFor) -> None:
        self._check_event(step.wait_for)
        if step.up_to is None:
            raise self._error("this waits for ever for who never does it; add “up to: 5 days”", step.wait_for)
        if self.plan.leave and self.plan.leave.on == step.wait_for:
            raise self._error(f"who does {step.wait_for} leaves, so waiting for it leads nowhere", step.wait_for)

    def _check_said_once(self) -> None:
        wordings = [(step.say, medium) for step in self.plan.say_steps() for medium in step.by]
        if len(set(wordings)) < len(wordings):
            raise self._error("the same message is said twice by one medium", "steps")

    def _is_public(self, medium: str) -> bool:
        try:
            return sender_for(medium, self.settings).public
        except PassaparolaError:
            return False

    def _check_event(self, name: str) -> None:
        if name not in (known := self.words.known_events):
            raise self._error(f"“{name}” is not an event{did_you_mean(name, known)}", name)

    def _check_condition(self, text: str, consequence: str) -> None:
        try:
            node = Question.parse(text, self.words).node
        except BadQuestion as error:
            raise self._error(str(error), text.split()[0]) from None
        if not _is_satisfiable(node):
            raise self._error(f"“{text}” contradicts itself: {consequence}", text)

    def _error(self, message: str, word: str) -> BadContent:
        return BadContent(message, f"campaigns/{self.path.name}:{_line_of(self.path, word)}")


def _is_satisfiable(node: tree.Node) -> bool:
    """Return whether any truth of its parts makes a condition true; parts that ask the same count as one."""
    leaves = list(dict.fromkeys(part.model_dump_json() for part in node.walk() if not part.parts))
    if len(leaves) > MAX_LEAVES:
        return True
    return any(
        _evaluate(node, dict(zip(leaves, truth, strict=True)))
        for truth in islice(product((True, False), repeat=len(leaves)), 2**MAX_LEAVES)
    )


def _evaluate(node: tree.Condition, truth: dict[str, bool]) -> bool:
    match node:
        case tree.All(of=parts):
            return all(_evaluate(part, truth) for part in parts)
        case tree.Any(of=parts):
            return any(_evaluate(part, truth) for part in parts)
        case tree.Not(part=part):
            return not _evaluate(part, truth)
        case tree.Everyone():
            return True
    return truth[node.model_dump_json()]


def _line_of(path: Path, word: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    exact = (n for n, line in enumerate(lines, 1) if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", line))
    return next(exact, 1)
