"""What SendGrid tells, believed only from SendGrid and translated into our words."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from passaparola.channel.receiver import FEEDBACK_KINDS
from passaparola.channels.sendgrid.receiver import KINDS, SendgridReceiver
from passaparola.errors import Forged, Misconfigured
from tests import providers
from tests.conftest import NOW
from tests.providers import event, events

VECTORS = Path(__file__).parents[3] / "shared" / "specs"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSAPAROLA_SENDGRID_WEBHOOK_PUBLIC_KEY", providers.PUBLIC)


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def heard(*those: dict[str, Any]) -> list[Any]:
    return list(SendgridReceiver().parse({}, json.dumps(those).encode()).events)


def test_every_kind_of_event_has_a_word_of_ours() -> None:
    assert set(KINDS.values()) <= FEEDBACK_KINDS
    told = [event(kind, "7-0-email") for kind in KINDS]
    assert [one.kind for one in heard(*told)] == list(KINDS.values())
    assert {one.message for one in heard(*told)} == {"7-0-email"}


@pytest.mark.parametrize(
    ("said", "bounce", "counts"),
    [
        ({"type": "bounce", "bounce_classification": "Invalid Address"}, "hard", True),
        ({"type": "bounce"}, "hard", True),
        ({"type": "blocked", "bounce_classification": "Mailbox Unavailable"}, "soft", True),
        ({"type": "bounce", "bounce_classification": "Reputation"}, "soft", False),
        ({"type": "blocked", "bounce_classification": "Content"}, "soft", False),
    ],
)
def test_a_bounce_is_hard_only_where_the_address_is_to_blame(said: dict[str, str], bounce: str, counts: bool) -> None:
    (one,) = heard(event("bounce", "7-0-email", **said))
    assert (one.properties["bounce"], one.properties["counts"]) == (bounce, counts)


def test_an_open_before_anyone_looked_is_a_machines() -> None:
    first, second = heard(event("open", "7-0-email", sg_machine_open=True), event("open", "7-0-email", at=1776762001))
    assert (bool(first.bot_reason), bool(second.bot_reason)) == (True, False)


def test_one_event_that_is_not_understood_stops_no_other() -> None:
    good = event("delivered", "7-0-email")
    odd: list[Any] = [
        {"event": "sneezed", "sg_event_id": "1"},
        7,
        {**good, "sg_event_id": None},
        {**good, "timestamp": "soon"},
    ]
    found = SendgridReceiver().parse({}, json.dumps([*odd, good, {"event": "account_status_change"}]).encode())
    assert len(found.events) == 1
    assert len(found.problems) == 4


def test_what_sendgrid_signed_is_believed_for_a_day_and_by_either_of_two_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    headers, body = events(event("delivered", "7-0-email"), now=NOW)
    ear = SendgridReceiver()
    first = ear.verify(lower(headers), body, NOW)
    assert ear.verify(lower(headers), body, NOW + timedelta(hours=24)) == first
    other = providers.OTHER_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    monkeypatch.setenv(
        "PASSAPAROLA_SENDGRID_WEBHOOK_PUBLIC_KEY", f"{base64.b64encode(other).decode()}, {providers.PUBLIC}"
    )
    assert ear.verify(lower(headers), body, NOW) == first


FORGERIES = {
    "unsigned": lambda h, b: ({}, b),
    "no time": lambda h, b: ({providers.SIGNATURE: h[providers.SIGNATURE]}, b),
    "another key": lambda h, b: (providers.signed(b, NOW, providers.OTHER_KEY), b),
    "another body": lambda h, b: (h, b.replace(b"delivered", b"dropped")),
    "written anew": lambda h, b: (h, json.dumps(json.loads(b)).encode()),
    "without its last line": lambda h, b: (h, b.rstrip()),
    "too old": lambda h, b: (providers.signed(b, NOW - timedelta(hours=26)), b),
    "from the future": lambda h, b: (providers.signed(b, NOW + timedelta(hours=1)), b),
    "another time": lambda h, b: ({**h, providers.TIMESTAMP: str(int(h[providers.TIMESTAMP]) + 1)}, b),
    "not base64": lambda h, b: ({**h, providers.SIGNATURE: "§§§"}, b),
    "cut off": lambda h, b: ({**h, providers.SIGNATURE: h[providers.SIGNATURE][:20]}, b),
    "empty": lambda h, b: ({**h, providers.SIGNATURE: ""}, b),
    "a time in words": lambda h, b: ({**h, providers.TIMESTAMP: "now"}, b),
    "a time without end": lambda h, b: ({**h, providers.TIMESTAMP: "9" * 400}, b),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_not_believed(forgery: str) -> None:
    headers, body = FORGERIES[forgery](*events(event("delivered", "7-0-email"), now=NOW))
    with pytest.raises(Forged):
        SendgridReceiver().verify(lower(headers), body, NOW)


def test_a_key_of_another_kind_is_the_operators_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    headers, body = events(event("delivered"), now=NOW)
    wrong = (
        ec.generate_private_key(ec.SECP384R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    for key in (base64.b64encode(wrong).decode(), "-----BEGIN PUBLIC KEY-----", ""):
        monkeypatch.setenv("PASSAPAROLA_SENDGRID_WEBHOOK_PUBLIC_KEY", key)
        with pytest.raises(Misconfigured):
            SendgridReceiver().verify(lower(headers), body, NOW)


def test_the_published_vector_and_samples_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    if not VECTORS.is_dir():
        pytest.skip("the provider's published samples are not beside this checkout")
    samples = json.loads((VECTORS / "sendgrid" / "event_webhook_batch_all_types.json").read_text())
    assert len(SendgridReceiver().parse({}, json.dumps(samples).encode()).events) == len(samples)
    vector = next(
        v for v in json.loads((VECTORS / "signature_vectors.json").read_text()) if v["provider"] == "sendgrid"
    )
    monkeypatch.setenv("PASSAPAROLA_SENDGRID_WEBHOOK_PUBLIC_KEY", vector["public_key"])
    body = base64.b64decode(vector["body_b64"]) if "body_b64" in vector else vector["payload"].encode()
    headers = lower(vector["headers"])
    signed_at = datetime.fromtimestamp(int(headers["x-twilio-email-event-webhook-timestamp"]), tz=UTC)
    assert SendgridReceiver().verify(headers, body, signed_at)
    with pytest.raises(Forged):
        SendgridReceiver().verify(headers, body.rstrip(), signed_at)
