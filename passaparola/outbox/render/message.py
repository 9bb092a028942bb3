"""A folder of templates/: front matter, wording by medium and locale, and the layout around it.

templates/spring_launch/email.mjml      the default wording, in the house language
                        email.it.mjml   another language
                        email.txt       a text part written by hand; without it one is made from the MJML
                        twitter.txt     a post
                        post.txt        what is said on every network that has no file of its own
                        brief/…         a variant: the files that it says differently
"""

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from passaparola.content import from_yaml
from passaparola.errors import BadContent, Unknown, did_you_mean
from passaparola.outbox.render.share import Share
from passaparola.outbox.render.survey import Survey

FILE = re.compile(r"(?P<medium>[a-z]+)(\.(?P<locale>[a-z]{2}(-[a-z]{2})?))?\.(?P<kind>mjml|txt)")
ANY_POST = "post"
MESSAGE = re.compile(r"[a-z][a-z0-9_]*")


class Picture(BaseModel):
    model_config = ConfigDict(extra="forbid")
    file: str = Field(description="beside the template")
    alt: str = Field(min_length=3, description="what it shows, for those who do not see it")


class Approved(BaseModel):
    """Content that the network has approved beforehand, and what fills its numbered places."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=2, description="the network's own name of it, such as HX0123…")
    places: list[str] = Field([], description="what stands in {{1}}, {{2}}, …; holes allowed")


class FrontMatter(BaseModel):
    """The lines between `---` at the top of a wording."""

    model_config = ConfigDict(extra="forbid")
    subject: str = ""
    preheader: str = ""
    layout: str = Field("email", pattern=r"^[a-z][a-z0-9_]*$", description="a file of templates/_layout")
    media: list[Picture] = []
    survey: Survey | None = Field(None, description="what {{ survey_url }} asks")
    share: Share | None = Field(None, description="what <!-- share --> passes on")
    template: Approved | None = Field(None, description="for WhatsApp: what may be said at any time")


@dataclass(frozen=True)
class Wording:
    """One file. `first_line` is where its body begins, so that errors name the line of the file."""

    where: str
    matter: FrontMatter
    body: str
    first_line: int
    kind: str


def message_names(home: Path) -> list[str]:
    folders = (
        (path for path in (home / "templates").iterdir() if path.is_dir()) if (home / "templates").is_dir() else ()
    )
    return sorted(path.name for path in folders if not path.name.startswith("_"))


def message_folder(home: Path, name: str) -> Path:
    """Find a message's folder. Raises Unknown, also for a name that is a path."""
    if not MESSAGE.fullmatch(name) or name not in (known := message_names(home)):
        raise Unknown(f"There is no message “{name}” in templates/{did_you_mean(name, message_names(home))}")
    assert known
    return home / "templates" / name


def load_wordings(home: Path, name: str, medium: str, house: str) -> dict[str, Wording]:
    """Load a message's wordings by locale; the file without one is the house language's. Raises Unknown,
    BadContent.

    `name` may be a variant, `thank_you/brief`: what its sub-folder does not say is said as in the folder around it.
    """
    wordings: dict[str, Wording] = {}
    message, _, variant = name.partition("/")
    around = message_folder(home, message)
    for place in (around, around / variant) if variant and (around / variant).is_dir() else (around,):
        wordings |= _wordings_in(place, home, medium, house)
    if not wordings:
        there = ", ".join(sorted(path.name for path in around.iterdir())) or "nothing"
        wanted = "email.mjml" if medium == "email" else f"{medium}.txt, or {ANY_POST}.txt for every network"
        raise BadContent(f"there is no wording for {medium}; write {wanted} (there is {there})", f"templates/{name}")
    return wordings


def load_house_wordings(home: Path, name: str, medium: str, house: str) -> dict[str, Wording]:
    """Return the wordings of templates/_house/, by locale. Raises BadContent."""
    place = home / "templates" / "_house" / name
    by_variant = _wordings_in(place, home, medium, house) if place.is_dir() else {}
    if not by_variant:
        raise BadContent(f"there is no wording for {medium}", f"templates/_house/{name}")
    return by_variant


def _wordings_in(place: Path, home: Path, medium: str, house: str) -> dict[str, Wording]:
    """Return a folder's wordings for a medium, by locale; a network that has none of its own is given those for any."""
    by_locale: dict[str, dict[str, Wording]] = {}
    for path in sorted(place.iterdir()):
        matched = FILE.fullmatch(path.name)
        if matched and matched["medium"] in (medium, ANY_POST) and (matched["kind"] == "mjml") == (medium == "email"):
            by_locale.setdefault(matched["medium"], {})[matched["locale"] or house] = read_wording(path, home)
    return by_locale.get(medium) or (by_locale.get(ANY_POST, {}) if medium != "email" else {})


def load_text_part(home: Path, wording: Wording, locale: str, house: str) -> Wording | None:
    """Return the text written by hand beside a letter."""
    suffix = "" if locale == house else f".{locale}"
    path = (home / wording.where).parent / f"email{suffix}.txt"
    return read_wording(path, home) if path.is_file() else None


def load_layout(home: Path, name: str, locale: str, house: str, where: str) -> Wording:
    for candidate in (f"{name}.{locale}.mjml", f"{name}.mjml"):
        path = home / "templates" / "_layout" / candidate
        if path.is_file():
            return read_wording(path, home)
    known = {path.name.partition(".")[0] for path in (home / "templates" / "_layout").glob("*.mjml")}
    raise BadContent(f"there is no layout “{name}”{did_you_mean(name, known)}", where)


def read_wording(path: Path, home: Path) -> Wording:
    where = str(path.relative_to(home))
    try:
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise BadContent("this file is not UTF-8; save it as UTF-8", where) from None
    matter, body, first = FrontMatter(), text, 1
    if text.startswith("---\n"):
        head, closed, body = text[4:].partition("\n---\n")
        if not closed:
            raise BadContent("the front matter has no closing ---", f"{where}:1")
        matter = from_yaml(head, FrontMatter, where, 2) if head.strip() else matter
        first = head.count("\n") + 4
    return Wording(where, matter, body, first, path.suffix.removeprefix("."))
