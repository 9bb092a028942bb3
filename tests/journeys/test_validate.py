"""A plan that makes no sense is a sentence with file, line and remedy, before anyone is written to."""

from typing import Any

import pytest
import yaml

from passaparola.contacts import audience
from passaparola.errors import BadContent
from passaparola.journeys import validate
from passaparola.settings import Settings

SAY: dict[str, Any] = {"say": "hello", "by": ["email"]}
SOUND: dict[str, Any] = {
    "title": "T",
    "topic": "newsletter",
    "enter": {"on": "order_completed", "key": "order_id"},
    "steps": [SAY],
}


def wrong(settings: Settings, **fields: Any) -> str:
    path = settings.home / "campaigns" / "drip.yaml"
    path.write_text(yaml.safe_dump({**SOUND, **fields}, sort_keys=False))
    with pytest.raises(BadContent) as error:
        validate.load_campaign(settings, "drip", audience.load_catalogue(None, settings))
    return str(error.value)


def test_what_makes_sense_is_read_with_on_as_a_word(settings: Settings) -> None:
    path = settings.home / "campaigns" / "drip.yaml"
    path.write_text(
        "title: T\ntopic: newsletter\nenter: {on: order_completed, key: order_id}\nsteps:\n  - {say: hello, by: [email]}\n"
    )
    assert (
        validate.load_campaign(settings, "drip", audience.load_catalogue(None, settings)).enter.on == "order_completed"
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"enter": {"on": "order_compelted"}}, "campaigns/drip.yaml:4: “order_compelted” is not an event; did you mean “order_completed”?"),
        ({"enter": {"audience": "reader"}}, "there is no audience “reader”; did you mean “readers”?"),
        ({"enter": {"audience": "readers", "on": "signed_up"}}, "write either “audience”"),
        ({"enter": {"audience": "readers", "key": "order_id"}}, "“key” goes with “on”"),
        ({"enter": {"audience": "readers", "every": "fortnight"}}, "is not a schedule; write day at 09:00"),
        ({"enter": {"audience": "readers", "every": "31st at 09:00", "zone": "Europe/Roma"}}, "is not a zone; did you mean “Europe/Rome”?"),
        ({"enter": {"audience": "readers", "every": "0 9 31 4 *"}}, "is not a schedule"),
        ({"enter": {"on": "signed_up", "again": "sometimes"}}, "write never, always, or after 90 days"),
        ({"leave": {"on": "order_completed"}}, "can't leave on it"),
        ({"leave": {"when": 'country = "IT" and country != "IT"'}}, "contradicts itself: nobody ever leaves"),
        ({"goal": {"on": "order_complete"}}, "did you mean “order_completed”?"),
        ({"holdout": "half"}, "write a share such as 5%"),
        ({"steps": [SAY, {"wait": "7 days"}]}, "nothing comes after this wait"),
        ({"steps": [SAY, {"wait for": "survey_answered"}, {**SAY, "say": "bye"}]}, "waits for ever for who never does it; add “up to: 5 days”"),
        ({"leave": {"on": "survey_answered"}, "steps": [SAY, {"wait for": "survey_answered", "up to": "5 days"}, {**SAY, "say": "bye"}]},
         "leads nowhere"),
        ({"steps": [{**SAY, "when": "ordered and never ordered"}]}, "contradicts itself: step 1 is never reached"),
        ({"steps": [{**SAY, "when": 'contry = "IT"'}]}, "“contry” is not a trait; did you mean “country”?"),
        ({"steps": [{**SAY, "by": ["twitter"]}]}, "twitter speaks to everybody, and people enter it one by one on order_completed"),
        ({"steps": [{**SAY, "by": ["emial"]}]}, "“emial” is not a medium; did you mean “email”?"),
        ({"steps": [{**SAY, "variants": {"a": 50, "b": 40}}]}, "100 in all"),
        ({"steps": [{**SAY, "variants": {"a": 50, "b": 50}}]}, "the variants say the same; write templates/hello/b/"),
        ({"steps": [SAY, SAY]}, "said twice by one medium"),
        ({"steps": [{"wiat": "7 days"}, SAY]}, "“wiat” is not a field here"),
        ({"steps": [{"wait": "a while"}, SAY]}, "write 7 days, until 10:00, until Saturday"),
        ({"steps": [{"wait": "3 hours", "at": "10:00"}, SAY]}, "ends at its own time"),
    ],
)  # fmt: skip
def test_nonsense_says_what_is_wrong_where_and_the_nearest_right_thing(
    settings: Settings, fields: dict[str, Any], sentence: str
) -> None:
    said = wrong(settings, **fields)
    assert sentence in said
    assert said.startswith("campaigns/drip.yaml:")
