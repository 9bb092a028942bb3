"""Preview and send are one renderer; filling the skeleton gives byte for byte what a plain render gives."""

import email
import email.policy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jinja2 import TemplateError

from passaparola.errors import BadContent, Unknown
from passaparola.outbox.personal import without_point
from passaparola.outbox.render import email as rendered_email
from passaparola.outbox.render import message
from passaparola.outbox.render.check import check_message
from passaparola.outbox.render.frozen import cut_wording, freeze_wordings, freezer, launch_constants
from passaparola.outbox.render.holes import cut_texts, render_plainly
from passaparola.settings import Settings
from passaparola.store.database import Store
from tests.conftest import NOW, ROOT, fresh
from tests.outbox.test_guards import drained, released
from tests.people import add


@pytest.fixture
def database(migrated: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """What is rendered does not depend on the database."""
    with fresh("sqlite", migrated, tmp_path) as address:
        yield address


names = st.sampled_from(["first_name", "city", "missing", "points", "loves"])
statics = st.text(alphabet="ab <>&\"'{%}è\n😀", max_size=12).filter(
    lambda t: not any(s in t for s in ("{{", "{%", "{#", "}}", "%}")) and not t.endswith("{")
)
outputs = st.builds(
    lambda n, f: f"{{{{ contact.{n}{f} }}}}",
    names,
    st.sampled_from(["", " | upper", ' | default("—")', " | string | length", " | default(campaign.title)"]),
)
constant = st.sampled_from(
    ["{{ campaign.title }}", "{% if campaign.title %}yes{% endif %}", "{% for w in [1, 2] %}{{ w }}{% endfor %}"]
)
simple = st.one_of(statics, outputs, constant)
conditions = st.sampled_from(
    ["contact.vip", "contact.points > 3", 'contact.city == "Milano"', "contact.missing is defined", "not contact.vip"]
)
blocks = st.one_of(
    simple,
    st.builds(lambda c, a, b: f"{{% if {c} %}}{a}{{% else %}}{b}{{% endif %}}", conditions, simple, simple),
    st.builds(
        lambda a: f"{{% for thing in contact.loves %}}{a}{{{{ thing.name }}}}{{{{ loop.index }}}}{{% endfor %}}", simple
    ),
)
sources = st.lists(blocks, max_size=8).map("".join)
texts = st.text(alphabet="aZ<>&\"'{}%èß😀\u202e \n", max_size=10)
contacts = st.fixed_dictionaries(
    {
        "vip": st.booleans(),
        "points": st.integers(0, 9),
        "loves": st.lists(st.fixed_dictionaries({"name": texts}), max_size=3),
    },
    optional={"first_name": texts, "city": st.sampled_from(["Milano", "Roma"])},
)
CONSTANTS = {"campaign": {"title": "Spring & <more>"}}


@hypothesis_settings(max_examples=400, deadline=None)
@given(sources, contacts, st.booleans())
def test_a_filled_skeleton_is_a_plain_render_byte_for_byte(source: str, contact: dict[str, Any], escape: bool) -> None:
    values = {**CONSTANTS, "contact": contact}
    try:
        plain = render_plainly(source, "it", values, escape=escape)
    except (TemplateError, TypeError) as error:
        with pytest.raises(type(error)):
            made = cut_texts({"text": (source, "t")}, "it", CONSTANTS, escape=escape)
            made.parts["text"].fill(made.program(values))
        return
    made = cut_texts({"text": (source, "t")}, "it", CONSTANTS, escape=escape)
    assert made.parts["text"].fill(made.program(values)) == plain


def test_what_is_the_same_for_everyone_is_no_hole() -> None:
    made = cut_texts(
        {"html": ("{{ campaign.title }}{% for n in [1, 2] %}{{ n }}{% endfor %} {{ contact.x }}{{ contact.x }}", "t")},
        "en",
        CONSTANTS,
        escape=True,
    )
    assert made.parts["html"].statics == ("Spring &amp; &lt;more&gt;12 ", "", "")
    assert made.program({"contact": {"x": "<"}}) == ("&lt;",)


ATTACKS = [
    "{{ contact.__class__ }}", "{{ ''.__class__.__mro__ }}", "{{ cycler.__init__.__globals__ }}", "{{ lipsum.__globals__ }}", "{{ self._TemplateReference__context }}",
    "{{ contact|attr('__class__') }}", "{{ contact['__class__'] }}", "{{ config }}", "{{ env }}", "{{ request }}", "{{ get_flashed_messages.__globals__ }}",
    "{% include '/etc/passwd' %}", "{% import 'os' as os %}", "{% from 'os' import system %}", "{% extends 'x' %}", "{% set x = 1 %}", "{% macro m() %}{% endmacro %}",
    "{% call m() %}{% endcall %}", "{{ range(1000000000) }}", "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}", "{{ 'a' * 100000000 }}",
    "{{ 9 ** 999999999 }}", "{{ 'x'.join(['a']) }}", "{{ contact.pop('first_name') }}", "{{ contact.keys() }}", "{{ contact|map('upper')|list }}", "{{ contact|tojson }}",
    "{{ '%1000000000d'|format(1) }}", "{{ 'x'|center(1000000000) }}", "{{ contact.first_name|safe }}", "{% autoescape false %}{{ contact.first_name }}{% endautoescape %}",
    "{{ dict(a=1) }}", "{{ namespace(a=1) }}", "{{ joiner() }}", "{{ contact.items }}", "{{ 'a'.upper }}", "{% filter upper %}x{% endfilter %}", "{{ [].append(1) }}",
    "{% do contact.clear() %}", "{% debug %}", "{{ contact.save() }}", "{{ url_for.__globals__ }}", "{{ x.y.z }}",
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_template_reaches_nothing_but_its_plain_values(attack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "a secret of the environment")
    with pytest.raises((BadContent, TemplateError, TypeError)):
        made = cut_texts({"t": (attack, "t")}, "en", {}, escape=True)
        filled = made.parts["t"].fill(made.program({"contact": {"first_name": "Anna"}}))
        assert filled == attack, "refused, or nothing but its own letters"


def test_what_a_contact_is_called_is_never_markup() -> None:
    made = cut_texts({"html": ("<p>{{ contact.name }}</p>", "t")}, "en", {}, escape=True)
    assert made.program({"contact": {"name": "<script>{{ 7*7 }}</script>"}}) == (
        "&lt;script&gt;{{ 7*7 }}&lt;/script&gt;",
    )


def test_loops_are_cut_at_a_thousand_turns() -> None:
    made = cut_texts({"t": ("{% for x in contact.many %}x{% endfor %}", "t")}, "en", {}, escape=True)
    assert len(made.program({"contact": {"many": list(range(50_000))}})[0]) == 1_000


def test_dates_numbers_and_money_are_the_readers(settings: Settings) -> None:
    source = '{{ 123450 | money("EUR") }} · {{ "2026-04-21" | date }} · {{ 1234.5 | number }}'
    filled = {
        language: "".join(cut_texts({"t": (source, "t")}, language, {"x": 1}, escape=False).parts["t"].statics)
        for language in ("it", "en")
    }
    assert filled == {"it": "1.234,50\xa0€ · 21 aprile 2026 · 1.234,5", "en": "€1,234.50 · April 21, 2026 · 1,234.5"}


def test_a_click_link_stands_only_for_those_who_allow_it_and_targets_carry_their_campaign(settings: Settings) -> None:
    wording = freeze_wordings(settings.home, "hello", "email", "hello", settings)["en"]
    assert wording.links == ("https://shop.example/spring?utm_source=email&utm_medium=email&utm_campaign=hello",)
    assert "{{ links[0] }}" in wording.texts["html"]
    assert "{{ links[0] }}" in wording.texts["text"]


def test_the_text_part_says_everything_in_order(settings: Settings) -> None:
    wording = freeze_wordings(settings.home, "hello", "email", "hello", settings)["en"]
    cut_ = cut_wording(
        wording,
        "en",
        launch_constants(
            {
                "campaign": "hello",
                "title": "T",
                "sender": {"organisation": "O", "postal_address": "Via Po 1", "public_url": "u"},
            }
        ),
    )
    values = cut_.values(
        {
            "contact": {"first_name": "Ada", "country": "IT"},
            "links": ["LINK"],
            "unsubscribe_url": "UNSUB",
            "preferences_url": "PREF",
            "pixel_url": "",
        }
    )
    text = cut_.skeleton.parts["text"].fill(values)
    assert [text.index(word) for word in ("Dear Ada, ciao", "Look: LINK", "Via Po 1", "UNSUB")] == sorted(
        text.index(word) for word in ("Dear Ada, ciao", "Look: LINK", "Via Po 1", "UNSUB")
    )


def rewritten(home: Path, old: str, new: str) -> None:
    path = home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("<mj-button", "<mj-buton", "email.mjml:7: <mj-buton> is not an MJML tag"),
        ("subject: Hello {{ contact.first_name }}", "", "“subject” is missing"),
        ("preheader:", "preheder:", "email.mjml:3: “preheder” is not a field here; did you mean “preheader”?"),
        ("{% endif %}", "", "Unexpected end of template"),
        ('href="https://shop.example/spring"', 'href="{% if contact.vip %}a{% endif %}"', "can't stand inside a tag"),
        ("preheader: A word", "layout: letter", "there is no layout “letter”; there is email."),
    ],
)
def test_a_mistake_is_told_with_file_and_remedy(settings: Settings, old: str, new: str, says: str) -> None:
    rewritten(settings.home, old, new)
    with pytest.raises(BadContent) as error:
        wording = freeze_wordings(settings.home, "hello", "email", "hello", settings)["en"]
        cut_wording(wording, "en", {"campaign": {}, "organisation": "", "postal_address": "", "public_url": ""})
    assert says in str(error.value)


def test_a_layout_without_a_way_out_is_refused(settings: Settings) -> None:
    path = settings.home / "templates" / "_layout" / "email.mjml"
    path.write_text(path.read_text().replace("{{ unsubscribe_url }}", "#"))
    with pytest.raises(BadContent, match="unsubscribe_url"):
        freeze_wordings(settings.home, "hello", "email", "hello", settings)


@pytest.mark.parametrize("name", ["../secret", "..%2f", "/etc", "a/b", "hello\x00", ".", "_layout", "C:\\x"])
def test_a_message_name_is_never_a_path(settings: Settings, name: str) -> None:
    with pytest.raises(Unknown, match="There is no message"):
        freezer(settings)(name, "email", "hello")


def test_a_picture_outside_the_templates_is_refused(settings: Settings) -> None:
    (settings.home / "templates" / "hello" / "twitter.txt").write_text(
        "---\nmedia: [{file: ../../../../etc/hostname, alt: a host}]\n---\nhi\n"
    )
    with pytest.raises(BadContent, match="no picture"):
        freeze_wordings(settings.home, "hello", "twitter", "hello", settings)


def test_everything_survives_the_compilers(settings: Settings) -> None:
    home = ROOT
    for locale, wording in message.load_wordings(home, "spring_launch", "email", "en").items():
        around = message.load_layout(home, "email", locale, "en", wording.where)
        made = rendered_email.compile_email(wording, around, None, {})
        for jinja in ("contact.first_name", "contact.country", "money"):
            assert jinja in made.html
            assert jinja in made.text
        assert "prefers-color-scheme: dark" in made.html
        assert max(map(len, made.html.splitlines())) > 0


def test_a_post_says_the_same_to_everybody_or_is_refused(settings: Settings) -> None:
    post = settings.home / "templates" / "hello" / "twitter.txt"
    post.write_text('Hello {{ contact.first_name | default("you") }}')
    assert "public post" in check_message(settings, "hello", "twitter", "hello", None)[0]
    post.write_text("{{ campaign.title }}: https://x.example/?c={{ campaign.name }} and https://y.example")
    texts = freeze_wordings(settings.home, "hello", "twitter", "hello", settings)["en"].texts
    assert (
        texts["text"]
        == "{{ campaign.title }}: https://x.example/?c={{ campaign.name }} and https://y.example?utm_source=twitter&utm_medium=social&utm_campaign=hello"
    )


def test_another_picture_under_the_same_name_is_another_content(settings: Settings) -> None:
    folder = settings.home / "templates" / "hello"
    (folder / "twitter.txt").write_text("---\nmedia: [{file: a.png, alt: a box}]\n---\nhi\n")
    (folder / "a.png").write_bytes(b"one")
    first = freeze_wordings(settings.home, "hello", "twitter", "hello", settings)["en"]
    (folder / "a.png").write_bytes(b"two")
    assert freeze_wordings(settings.home, "hello", "twitter", "hello", settings)["en"] != first


FILTERED = {
    '{{ event.items | join(", ") }}': "honey, soap &lt;2&gt;",
    '{{ event.lines | join(" + ", attribute="name") }}': "oil + jam",
    "{{ event.items | first }}, {{ event.items | last }}, {{ event.items | length }}": "honey, soap &lt;2&gt;, 2",
    "{{ event.items | sort | join }}": "honeysoap &lt;2&gt;",
    "{{ contact.city | truncate(5, false, '…', 0) }}": "Mila…",
    '{{ contact.city | upper | trim | title | capitalize | urlencode | default("x") }}': "Milano",
    "{{ contact.points }} {{ contact.points | int }} {{ contact.half }} {{ contact.points | number }}": "1200 1200 0.5 1,200",
    '{% for item in event.items %}{{ loop.index }}{{ item }}{% if not loop.last %}, {% endif %}{% endfor %}': "1honey, 2soap &lt;2&gt;",
}  # fmt: skip


@pytest.mark.parametrize("source", FILTERED)
def test_every_filter_gives_in_a_letter_what_jinja_gives(source: str) -> None:
    given = {
        "contact": without_point({"points": 1200.0, "half": 0.5, "city": "Milano"}),
        "event": {"items": ["honey", "soap <2>"], "lines": [{"name": "oil"}, {"name": "jam"}]},
    }
    for escape in (True, False):
        made = cut_texts({"text": (source, "test")}, "en", {}, escape=escape)
        assert made.parts["text"].fill(made.program(given)) == render_plainly(source, "en", given, escape=escape)
    made = cut_texts({"text": (source, "test")}, "en", {}, escape=True)
    assert made.parts["text"].fill(made.program(given)) == FILTERED[source]


def test_whole_numbers_have_no_point(store: Store, settings: Settings) -> None:
    path = settings.home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace("Dear", "{{ contact.points }} points, {{ contact.half }} left. Dear"))
    with store.write() as session:
        add(session, "Alice", NOW, traits={"points": 1200.0, "half": 0.5})
    released(store, settings)
    drained(store, settings)
    [mail] = (settings.var / "mailbox" / "email" / "new").iterdir()
    read = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default)
    assert all("1200 points, 0.5 left" in part.get_content() for part in read.iter_parts())


LEADS_NOWHERE = {
    '<mj-image src="candles.png" alt="x" />': "it is a file",
    '<mj-image src="/media/candles.png" alt="x" />': "it is a file",
    '<mj-image src="//cdn.example/candles.png" alt="x" />': "it lacks its https:",
    '<mj-image src="cid:candles" alt="x" />': "letters bring no pictures along",
    '<mj-image src="data:image/png;base64,iVBORw0KGgo=" alt="x" />': "letters bring no pictures along",
    '<mj-image src="file:///home/anna/candles.png" alt="x" />': "file: leads nowhere",
    '<mj-image src="http://localhost:8000/candles.png" alt="x" />': "only your own network knows",
    '<mj-image src="http://192.168.1.10/candles.png" alt="x" />': "only your own network knows",
    '<mj-image src="https:///candles.png" alt="x" />': "it lacks the name of a site",
    '<mj-image src="" alt="x" />': "it is empty",
    '<mj-text><img src="candles.png" alt="x" /></mj-text>': "it is a file",
    '<mj-text><img src="https://shop.example/c.png" srcset="c2.png 2x" alt="x" /></mj-text>': "it is a file",
    "<mj-text><div style=\"background:url('candles.png')\">x</div></mj-text>": "it is a file",
    '<mj-text><a href="shop/candles">x</a></mj-text>': "no reader can follow",
    '<mj-button href="javascript:alert(1)">x</mj-button>': "no reader can follow",
}


@pytest.mark.parametrize("body", LEADS_NOWHERE)
def test_what_no_reader_can_load_or_follow_is_refused_with_its_line(body: str, settings: Settings) -> None:
    path = settings.home / "templates" / "hello" / "email.mjml"
    head, mark, rest = path.read_text().partition("<mj-column>")
    path.write_text(f"{head}{mark}\n{body}\n{rest}")
    with pytest.raises(BadContent, match=re.escape(LEADS_NOWHERE[body])) as refused:
        freezer(settings)("hello", "email", "hello")
    line = int(str(refused.value).partition("email.mjml:")[2].partition(":")[0])
    assert body.partition('"')[0] in path.read_text().splitlines()[line - 1]
    assert "https://…" in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        '<mj-image src="https://shop.example/candles.png?w=600&amp;h=300" alt="x" />',
        '<mj-image src="{{ public_url }}/candles.png" alt="x" />',
        '<mj-text><a href="#top">x</a> <a href="mailto:ciao@shop.example">y</a> <a href="tel:+39025550100">z</a></mj-text>',
        '<mj-social><mj-social-element name="facebook" href="https://shop.example">Share</mj-social-element></mj-social>',
    ],
)
def test_what_a_reader_can_load_goes_out(body: str, settings: Settings) -> None:
    path = settings.home / "templates" / "hello" / "email.mjml"
    head, mark, rest = path.read_text().partition("<mj-column>")
    path.write_text(f"{head}{mark}\n{body}\n{rest}")
    freezer(settings)("hello", "email", "hello")


def test_a_letter_takes_no_media_in_its_front_matter(settings: Settings) -> None:
    path = settings.home / "templates" / "hello" / "email.mjml"
    path.write_text(path.read_text().replace("---\n", "---\nmedia: [{file: candles.png, alt: Three candles}]\n", 1))
    with pytest.raises(BadContent, match="a letter carries no files"):
        freezer(settings)("hello", "email", "hello")
