"""The campaign that is measured: 25 KB of HTML, 15 variables, a loop over three products, two conditionals."""

from pathlib import Path
from typing import Any

VARIABLES = [f"v{n}" for n in range(15)]
ROW = """
<mj-section><mj-column><mj-text>
{words}
</mj-text></mj-column></mj-section>
"""
WORDS = (
    "The mountain has woken up, and the first honey of the year has come down to the valley in Rosa's old van. "
    "Forty families keep their bees between the chestnuts and the snow, and they have written down for you what is in each "
    "jar, where the flowers stood, and how long it keeps. "
)


def house(home: Path) -> None:
    """Campaign, audience, layout and template as files."""
    for room in ("campaigns", "audiences", "templates/_layout", "templates/measured"):
        (home / room).mkdir(parents=True, exist_ok=True)
    (home / "campaigns" / "measured.yaml").write_text(
        "title: Measured\ntopic: newsletter\nenter: {audience: readers}\nsteps:\n  - {say: measured, by: [email]}\n"
    )
    (home / "audiences" / "readers.yaml").write_text("title: Readers\nwho: consents to newsletter\n")
    (home / "templates" / "_layout" / "email.mjml").write_text(
        "<mjml><mj-head><mj-preview><!-- preheader --></mj-preview></mj-head><mj-body><!-- content -->"
        '<mj-section><mj-column><mj-text>{{ postal_address }} <a href="{{ unsubscribe_url }}">unsubscribe</a> '
        '<a href="{{ preferences_url }}">preferences</a></mj-text></mj-column></mj-section></mj-body></mjml>'
    )
    (home / "templates" / "measured" / "email.mjml").write_text(template())


def template() -> str:
    sections = "".join(
        ROW.format(words=" ".join(f"{WORDS} {{{{ contact.{name} }}}}" for name in VARIABLES[n : n + 2]))
        for n in range(0, len(VARIABLES), 2)
    )
    return (
        "---\nsubject: Dear {{ contact.first_name }}, spring\npreheader: Honey\n---\n" + sections +
        "<mj-section><mj-column><mj-table>{% for p in contact.products %}<tr><td>{{ p.name }}</td><td>{{ p.price }}</td>"
        "</tr>{% endfor %}</mj-table>"
        "<mj-text>{% if contact.vip %}You are one of our regulars: the box travels free.{% else %}Shipping is 5 €.{% endif %}"
        "{% if contact.country == \"IT\" %} Arrives in two days.{% endif %}</mj-text>"
        '<mj-button href="https://shop.example/spring">See it</mj-button></mj-column></mj-section>'
    )  # fmt: skip


def traits(number: int) -> dict[str, Any]:
    """What one contact has of their own; some of it has to be escaped."""
    return {
        **{name: f"{name} of reader {number} & co" for name in VARIABLES},
        "vip": number % 7 == 0,
        "products": [{"name": f"Honey no. {number % 50 + n}", "price": f"{12 + n},50 €"} for n in range(3)],
    }
