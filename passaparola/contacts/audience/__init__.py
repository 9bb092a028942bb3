"""Audiences: named questions put to the contact store, asked anew each time.

`load_audience` reads audiences/*.yaml, a `Question` is one of them (or a text), `count_members`, `sample_members` and
`explain_contact` put it.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, literal_column, select
from sqlmodel import Session, col

from passaparola.contacts.audience import tree
from passaparola.contacts.audience.compile import Clause, compile_question
from passaparola.contacts.audience.parse import parse_question
from passaparola.contacts.audience.words import Catalogue
from passaparola.content import read_yaml
from passaparola.errors import BadContent, Unknown, did_you_mean
from passaparola.settings import Settings
from passaparola.store.models import Activity, Contact, KnownProperty, Trait


class Audience(BaseModel):
    """One file of audiences/."""

    model_config = ConfigDict(extra="forbid")
    title: str
    who: str = Field(description="a sentence in the audience language")
    about: str = ""


def audience_names(home: Path) -> list[str]:
    return sorted(path.stem for path in (home / "audiences").glob("*.yaml"))


def load_audience(home: Path, name: str) -> Audience:
    """Load an audience by its name. Raises Unknown, BadContent."""
    if name not in (known := audience_names(home)):
        raise Unknown(f"There is no audience “{name}”{did_you_mean(name, known)}")
    return read_yaml(home / "audiences" / f"{name}.yaml", Audience, home)


def load_catalogue(session: Session | None, settings: Settings) -> Catalogue:
    """Load the catalogue of what may be asked: the language's words, the audiences, and what this store has seen."""
    audiences, home = {}, settings.home
    for name in audience_names(home):
        with suppress(BadContent):  # one file that can't be read stops no other; `passaparola check` names it
            audiences[name] = load_audience(home, name).who
    if session is None:
        return Catalogue(settings.currency, audiences=audiences, zone=settings.time_zone)
    traits = dict(session.execute(select(col(Trait.name), col(Trait.kind))).all())
    kinds = frozenset(session.execute(select(col(Activity.kind)).distinct()).scalars())
    properties: dict[str, dict[str, frozenset[str]]] = {}
    for kind, name, type_ in session.execute(
        select(col(KnownProperty.kind), col(KnownProperty.name), col(KnownProperty.type))
    ):
        of = properties.setdefault(kind, {})
        of[name] = of.get(name, frozenset()) | {type_}
    return Catalogue(settings.currency, traits, kinds, audiences, properties, settings.time_zone)


@dataclass(frozen=True)
class Question:
    """A parsed question together with the words it may use."""

    name: str
    node: tree.Node
    catalogue: Catalogue

    @classmethod
    def parse(cls, name_or_text: str, catalogue: Catalogue) -> "Question":
        """Parse a question, or the audience of that name. Raises BadQuestion; Unknown when a lone word is no
        audience."""
        text = catalogue.audiences.get(name_or_text)
        if text is None and name_or_text.isidentifier() and name_or_text not in ("everyone",):
            try:
                return cls("", parse_question(name_or_text, catalogue), catalogue)
            except Exception:
                known = did_you_mean(name_or_text, catalogue.audiences)
                raise Unknown(f"There is no audience “{name_or_text}”{known}") from None
        where = f"audiences/{name_or_text}.yaml" if text else ""
        return cls(name_or_text if text else "", parse_question(text or name_or_text, catalogue, where), catalogue)

    def clause(self, now: datetime) -> Clause:
        return compile_question(self.node, self.catalogue, now)

    def members(self, now: datetime) -> Clause:
        """Build the clause of the audience's members, without the erased and without rows that were merged into
        another."""
        return self.clause(now) & col(Contact.erased_at).is_(None) & col(Contact.merged_into).is_(None)


def count_members(session: Session, question: Question, now: datetime) -> int:
    count: int = session.execute(select(func.count()).select_from(Contact).where(question.members(now))).scalar_one()
    return count


def sample_members(session: Session, question: Question, now: datetime, size: int = 10) -> list[Contact]:
    """Pick a few members, the same each time: spread by a fixed shuffle of the ids, not the oldest ones."""
    spread = (col(Contact.id) * literal_column("7919")) % literal_column("104729")
    chosen = select(Contact).where(question.members(now)).order_by(spread, col(Contact.id)).limit(size)
    return list(session.execute(chosen).scalars())


@dataclass(frozen=True)
class ConditionResult:
    """Whether one part of a question holds for a contact; `depth` is how far it is nested."""

    text: str
    holds: bool
    depth: int


def explain_contact(session: Session, question: Question, contact_id: int, now: datetime) -> list[ConditionResult]:
    """Evaluate every part of the question for one contact, outermost first."""
    nested = list(_with_depth(question.node))
    clauses = [compile_question(node, question.catalogue, now).label(f"part_{n}") for n, (node, _) in enumerate(nested)]
    row = session.execute(select(*clauses).select_from(Contact).where(col(Contact.id) == contact_id)).one()
    return [ConditionResult(node.text, bool(holds), depth) for (node, depth), holds in zip(nested, row, strict=True)]


def _with_depth(node: tree.Node, depth: int = 0) -> list[tuple[tree.Node, int]]:
    inner = [
        nested for part in node.parts if part.text and part.text != node.text for nested in _with_depth(part, depth + 1)
    ]
    return [(node, depth), *inner]
