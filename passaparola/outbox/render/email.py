"""MJML to what is sent: compiled and inlined once per launch, the Jinja in it put aside and put back.

Blocks travel through the compilers as comments and expressions as words, so `{% if a < 3 %}` never meets an XML parser.
"""

import html
import re
from dataclasses import dataclass, field

import css_inline
from inscriptis import get_text
from inscriptis.model.config import ParserConfig
from lxml import etree
from mjml import mjml2html

from passaparola.errors import BadContent
from passaparola.outbox.render.assets import refuse_unloadable
from passaparola.outbox.render.dialect import Dialect
from passaparola.outbox.render.message import Wording
from passaparola.outbox.render.utm import add_utm

TAGS = frozenset(
    [
        "mjml",
        "mj-head",
        "mj-body",
        "mj-attributes",
        "mj-all",
        "mj-class",
        "mj-breakpoint",
        "mj-font",
        "mj-html-attributes",
        "mj-preview",
        "mj-style",
        "mj-title",
        "mj-accordion",
        "mj-accordion-element",
        "mj-accordion-title",
        "mj-accordion-text",
        "mj-button",
        "mj-carousel",
        "mj-carousel-image",
        "mj-column",
        "mj-divider",
        "mj-group",
        "mj-hero",
        "mj-image",
        "mj-include",
        "mj-navbar",
        "mj-navbar-link",
        "mj-raw",
        "mj-section",
        "mj-social",
        "mj-social-element",
        "mj-spacer",
        "mj-table",
        "mj-text",
        "mj-wrapper",
        "mj-selector",
    ]
)
INLINER = css_inline.CSSInliner(keep_style_tags=True, keep_at_rules=True, load_remote_stylesheets=False)
# Only for who allows it; the others' letters hold nothing that asks for anything.
PIXEL = (
    '{% if pixel_url %}<img src="{{ pixel_url }}" alt="" width="1" height="1" style="display:block;border:0">{% '
    "endif %}"
)
XML_ENTITIES = {"amp", "lt", "gt", "quot", "apos"}


@dataclass
class JinjaPlaceholders:
    """The Jinja of a template, replaced by tokens that compilers leave alone."""

    blocks: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def take(self, source: str) -> str:
        pieces, token, kind = [], "", ""
        for _, name, value in Dialect("en", escape=True).lex(source):
            if name in ("block_begin", "variable_begin", "comment_begin"):
                token, kind = value, name
            elif name in ("block_end", "variable_end", "comment_end"):
                pieces.append(self._token(token + value, kind))
                token, kind = "", ""
            elif kind:
                token += value
            else:
                pieces.append(value)
        return "".join(pieces)

    def _token(self, jinja: str, kind: str) -> str:
        if kind == "comment_begin":
            return ""
        if kind == "block_begin":
            self.blocks.append(jinja)
            return f"<!-- jb{len(self.blocks) - 1}j -->"
        return self.word(jinja)

    def word(self, jinja: str) -> str:
        self.words.append(jinja)
        return f"jx{len(self.words) - 1}j"

    def restore(self, text: str) -> str:
        text = re.sub(r"<!-- jb(\d+)j -->|jb(\d+)j", lambda m: self.blocks[int(m[1] or m[2])], text)
        return re.sub(r"jx(\d+)j", lambda m: self.words[int(m[1])], text)

    def lost_block(self, text: str) -> str | None:
        """Return the first block that did not come through where a block can stand."""
        inside = {int(n) for n in re.findall(r'="[^"]*<!-- jb(\d+)j -->', text)}
        return next(
            (jinja for n, jinja in enumerate(self.blocks) if n in inside or f"<!-- jb{n}j -->" not in text), None
        )


@dataclass(frozen=True)
class CompiledEmail:
    """Jinja sources: what is left to do for a contact. `links` are the targets that a contact may be seen to follow."""

    html: str
    text: str
    links: tuple[str, ...]


def compile_email(wording: Wording, around: Wording, written: Wording | None, utm: dict[str, str]) -> CompiledEmail:
    """Compile an email's MJML. Raises BadContent: not MJML, an unknown tag, or a block where none can stand."""
    aside, where = JinjaPlaceholders(), f"{wording.where}:{wording.first_line}"
    for marker in ("<!-- content -->", "<!-- preheader -->"):
        if marker not in around.body:
            raise BadContent(f"the layout lacks its {marker}", around.where)
    source = around.body.replace("<!-- content -->", wording.body).replace(
        "<!-- preheader -->", wording.matter.preheader
    )
    _refuse_unknown_tags(wording)
    _refuse_unknown_tags(around)
    mjml = aside.take(source)
    try:
        page = INLINER.inline(mjml2html(mjml, fonts={}))
    except (ValueError, css_inline.InlineError) as error:
        raise BadContent(f"this is not MJML: {error}", where) from None
    if missing := aside.lost_block(page):
        raise BadContent(f"{missing} can't stand inside a tag; use {{{{ a if condition else b }}}} there", where)
    refuse_unloadable(page, wording, around)
    links = _Links(aside, utm)
    page = links.followed(page).replace("</body>", f"{PIXEL}</body>")
    text = aside.take(written.body) if written else _as_text(mjml, where)
    return CompiledEmail(
        aside.restore(page), aside.restore(links.followed_in_text(text)).strip() + "\n", tuple(links.targets)
    )


def _refuse_unknown_tags(wording: Wording) -> None:
    for number, line in enumerate(wording.body.splitlines(), wording.first_line):
        for tag in re.findall(r"</?\s*(mj-?[a-z-]*)", line):
            if tag not in TAGS:
                raise BadContent(f"<{tag}> is not an MJML tag", f"{wording.where}:{number}")


class _Links:
    """Replaces every fixed http(s) address by `{{ links[n] }}`: the tracked link, or the address itself."""

    def __init__(self, aside: JinjaPlaceholders, utm: dict[str, str]) -> None:
        self.aside, self.utm = aside, utm
        self.targets: dict[str, str] = {}  # target → word

    def followed(self, page: str) -> str:
        # css-inline has just serialised this page: every attribute is in double quotes and escaped.
        return re.sub(r'(<a\b[^>]*?\shref=")([^"]*)(")', lambda m: m[1] + self._word(html.unescape(m[2])) + m[3], page)

    def followed_in_text(self, text: str) -> str:
        return re.sub(r"https?://[^\s<>()\[\]]+[^\s<>()\[\].,;:!?]", lambda m: self._word(m[0]), text)

    def _word(self, target: str) -> str:
        if not target.startswith(("http://", "https://")) or re.search(r"jx\d+j", target):
            return html.escape(target)
        target = add_utm(target, self.utm)
        if target not in self.targets:
            self.targets[target] = self.aside.word(f"{{{{ links[{len(self.targets)}] }}}}")
        return self.targets[target]


def _as_text(mjml: str, where: str) -> str:
    """Return the words of an MJML source in their order: texts, buttons with their address, tables, and the blocks
    between."""
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True)
    named = re.sub(r"&(\w+);", lambda m: m[0] if m[1] in XML_ENTITIES else html.unescape(m[0]), mjml)
    root = etree.fromstring(named.encode(), parser)
    body = root.find("mj-body") if root is not None else None
    if body is None:
        raise BadContent("the layout lacks its <mj-body>", where)
    return re.sub(r"\n{3,}", "\n\n", "".join(_element_text(body)))


def _element_text(element: "etree._Element") -> list[str]:
    tokens: list[str] = []
    for child in element:
        if isinstance(child, etree._Comment):
            if re.fullmatch(r" jb\d+j ", child.text or ""):
                tokens.append((child.text or "").strip())
        elif child.tag == "mj-button":
            tokens.append(f"{_plain_text(child)}: {child.get('href', '')}\n\n")
        elif child.tag in ("mj-text", "mj-table"):
            tokens.append(f"{_plain_text(child)}\n\n")
        elif isinstance(child.tag, str) and child.tag != "mj-raw":
            tokens += _element_text(child)
    return tokens


def _plain_text(element: "etree._Element") -> str:
    if element.tag == "mj-table" and any(isinstance(child, etree._Comment) for child in element.iter()):
        return "\n".join(_table_rows(element))
    inner = etree.tostring(element, method="html", encoding="unicode", with_tail=False)
    inner = re.sub(r"<!--\s*(jb\d+j)\s*-->", r"\1", inner)
    tag = "table" if element.tag == "mj-table" else "div"
    inner = re.sub(
        r"^<mj-\w+[^>]*>|</mj-\w+>$", lambda m: f"</{tag}>" if m[0].startswith("</") else f"<{tag}>", inner.strip()
    )
    return str(get_text(f"<html><body>{inner}</body></html>", ParserConfig(display_links=True))).strip()


def _table_rows(table: "etree._Element") -> list[str]:
    """Write a table with blocks in it row by row: aligning its columns would tear the blocks out of their order."""
    rows: list[str] = []
    for child in table:
        if isinstance(child, etree._Comment):
            rows.append((child.text or "").strip())
        elif child.tag == "tr":
            cells = [
                " ".join("".join(map(str, cell.itertext(with_tail=False))).split())
                for cell in child
                if cell.tag in ("td", "th")
            ]
            rows.append("  ".join(cells))
        else:
            rows += _table_rows(child)
    return rows
