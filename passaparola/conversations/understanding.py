"""Classification of texts: language, sentiment, intent and topic.

Italian and English, by lists of words in words/*.yaml; only the language itself by py3langid's model. No network, the
same answer each time. A word ending with * stands for all that begin with it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from passaparola.content import from_yaml
from passaparola.conversations.care import CarePolicy, Kind

WORDS_FOLDER = Path(__file__).parent / "words"
LANGUAGES = ("it", "en")
MIN_SURE_WORDS = 4  # words from which on a text says by itself in which language it is
EMOJI = {"😀😃😄😁😊🙂😍🥰❤💚💛🧡👍👏🎉🤩😋🙏⭐✨💯": 1.5, "😡😠🤬😞😢😭👎😤🙁☹😒💔🤮😩": -1.5}
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|[,.;:!?()\n–—]|[\U0001F300-\U0001FAFF☹❤⭐✨]")
# Where a no ends: “never arrived, terrible” says no to having arrived, and not to terrible.
NEGATION_ENDS = {*",.;:!?()\n–—", "but", "ma", "però", "however", "anzi"}
NEGATION_REACH = 3  # words over which a no is felt


class LanguageWords(BaseModel):
    """One language's words."""

    model_config = ConfigDict(extra="forbid")
    good: list[str]
    great: list[str]
    bad: list[str]
    awful: list[str]
    no: list[str]
    very: list[str]
    request: list[str]
    question: list[str]
    complaint: list[str]


@dataclass(frozen=True)
class Understanding:
    language: str
    sentiment: float  # from -1 to 1
    kind: Kind
    topic: str


def understand(text: str, care: CarePolicy, spoken: str | None = None) -> Understanding:
    """Understand a text: language, sentiment, intent and topic. `spoken` is the contact's known language, in which
    short texts are taken to be."""
    lang = detect_language(text, spoken)
    feeling = measure_sentiment(text)
    return Understanding(lang, feeling, classify_intent(text, feeling), find_topic(text, care))


def detect_language(text: str, spoken: str | None = None) -> str:
    words = re.findall(r"[^\W\d_]{2,}", text)
    if len(words) < MIN_SURE_WORDS and spoken:
        return spoken
    return str(_identifier(spoken or "").classify(text)[0])


@cache
def _identifier(spoken: str) -> Any:
    """Load the language identifier, for the languages that we have words of, and the contact's own where it knows
    it."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    try:
        identifier.set_languages(sorted({*LANGUAGES, spoken} - {""}))
    except ValueError:
        identifier.set_languages(list(LANGUAGES))
    return identifier


def measure_sentiment(text: str) -> float:
    """Measure sentiment, from -1 to 1: good and bad words, turned by a negation before them, weighed by a “very”; a
    score counts as one word."""
    score, counted = 0.0, 0.0
    tokens = _tokens(text)
    for place, word in enumerate(tokens):
        if not (weight := _weight(word)):
            continue
        before = tokens[max(0, place - NEGATION_REACH) : place]
        if _is_negated(tokens, place):
            weight *= -0.7
        if any(_matches(nearest, "very") for nearest in before[-1:]):
            weight *= 1.5
        score += weight
        counted += abs(weight)
    for given, of in re.findall(r"\b(\d{1,2})\s*/\s*(5|10)\b", text):
        if int(given) <= int(of):
            score += 4 * int(given) / int(of) - 2
            counted += 2
    if not counted:
        return 0.0
    return round(max(-1.0, min(1.0, score / (counted + 1.0))), 2)


def classify_intent(text: str, feeling: float) -> Kind:
    low = f" {' '.join(text.lower().replace('’', chr(39)).split())} "
    if _is_complaint(low, text) or feeling <= -0.45:
        return "complaint"
    if _contains_any(low, "request"):
        return "request"
    if "?" in text or _contains_any(low, "question"):
        return "question"
    return "complaint" if feeling <= -0.3 else "praise" if feeling >= 0.3 else "remark"


def _is_complaint(low: str, text: str) -> bool:
    """Return whether a text complains. One complaint makes it one, however kindly the rest is said; “nothing
    broken” is none."""
    _, _, phrases = _word_list("complaint")
    tokens = _tokens(text)
    return any(f" {phrase}" in low for phrase in phrases) or any(
        _matches(word, "complaint") and not _is_negated(tokens, place) for place, word in enumerate(tokens)
    )


def _tokens(text: str) -> list[str]:
    return [word.lower().replace("’", "'") for word in WORD.findall(text)]


def _is_negated(tokens: list[str], place: int) -> bool:
    """Return whether a no stands shortly before a word, in its own part of the sentence."""
    for word in reversed(tokens[max(0, place - NEGATION_REACH) : place]):
        if word in NEGATION_ENDS:
            return False
        if _matches(word, "no"):
            return True
    return False


def find_topic(text: str, care: CarePolicy) -> str:
    """Return the topic that most of a text's words belong to; empty where none does."""
    tokens = [word.lower() for word in re.findall(r"[^\W\d_]+", text)]
    counts = {
        name: sum(word.startswith(tuple(start.lower().rstrip("*") for start in topic.words)) for word in tokens)
        for name, topic in care.topics.items()
    }
    best = max(counts, key=lambda name: counts[name], default="")
    return best if best and counts[best] else ""


@cache
def _load_words() -> Mapping[str, LanguageWords]:
    return {
        name: from_yaml((WORDS_FOLDER / f"{name}.yaml").read_text("utf-8"), LanguageWords, f"words/{name}.yaml")
        for name in LANGUAGES
    }


@cache
def _word_list(of: str) -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...]]:
    """Return (whole words, beginnings, phrases) of every language."""
    every = [entry.lower() for words in _load_words().values() for entry in getattr(words, of)]
    phrases = tuple(entry for entry in every if " " in entry)
    single = [entry for entry in every if " " not in entry]
    return (
        frozenset(entry for entry in single if not entry.endswith("*")),
        tuple(entry[:-1] for entry in single if entry.endswith("*")),
        phrases,
    )


def _matches(word: str, of: str) -> bool:
    whole, starts, _ = _word_list(of)
    return word in whole or (bool(starts) and word.startswith(starts))


def _contains_any(low: str, of: str) -> bool:
    _, _, phrases = _word_list(of)
    return any(f" {phrase}" in low for phrase in phrases) or any(
        _matches(word, of) for word in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", low)
    )


def _weight(word: str) -> float:
    for of, weight in (("great", 2.0), ("awful", -2.0), ("good", 1.0), ("bad", -1.0)):
        if _matches(word, of):
            return weight
    return next((weight for signs, weight in EMOJI.items() if word in signs), 0.0)
