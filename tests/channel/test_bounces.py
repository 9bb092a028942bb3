"""A reader is given up only on what is said against their address, in code or in words."""

import pytest

from passaparola.channel.bounces import classify_bounce
from passaparola.channel.inbound_email import parse_email
from passaparola.channels.sendgrid.receiver import SendgridReceiver
from tests.providers import event, report

SECRET = "a secret of the tests"
BOUNCES = {
    "address": [
        ("5.1.1", ""), ("", "550 5.1.1 The email account that you tried to reach does not exist"), ("5.1.1", "550 5.1.1 <a@b.example>: Recipient address rejected: User unknown"),
        ("5.0.0", "550 No such user here"), ("", "550 Unknown recipient"), ("5.4.1", "550 5.4.1 Recipient address does not exist"), ("5.1.2", ""), ("5.1.10", "null MX"),
        ("5.2.1", "The account is disabled"), ("", "550 utente sconosciuto"), ("5.7.1", "550 5.7.1 No such recipient"), ("5.1.1", "550 5.1.1 see https://support.example/policy/blocked"),
    ],
    "us": [
        ("5.7.1", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"), ("5.1.1", "550 5.1.1 Sender address rejected: Domain not found"),
        ("5.7.23", "550 5.7.23 SPF validation failed"), ("", "550 SPF check failed"), ("5.7.26", "unauthenticated mail is prohibited by DMARC policy"), ("", "550 Message rejected as spam"),
        ("5.1.0", "550 5.1.0 sender rejected"), ("5.1.8", "Access denied, bad outbound sender"), ("", "421 too many connections"), ("5.3.4", "message too large"),
        ("", "550 5.7.606 Access denied, banned sending IP"), ("5.1.1", "550 rejected due to poor reputation"),
    ],
    "mailbox": [("5.2.2", ""), ("", "552 5.2.2 Mailbox full"), ("5.1.1", "550 over quota"), ("5.0.0", "452 4.2.2 The email account that you tried to reach is over quota")],
    "nothing": [("", ""), ("5.0.0", ""), ("", "550 Requested action not taken: mailbox unavailable"), ("5.1.0", ""), ("5.0.0", "550 permanent failure")],
}  # fmt: skip
CASES = [(of, *said) for of, several in BOUNCES.items() for said in several]


@pytest.mark.parametrize(("of", "status", "words"), CASES)
def test_what_a_bounce_says_of_the_address(of: str, status: str, words: str) -> None:
    assert classify_bounce(status, words) == of


@pytest.mark.parametrize(("of", "status", "words"), CASES)
def test_only_evidence_against_the_address_makes_a_bounce_hard(of: str, status: str, words: str) -> None:
    import orjson

    told = event("bounce", "7-0-email", status=status, reason=words, type="bounce")
    [one] = SendgridReceiver().parse({}, orjson.dumps([told])).events
    assert one.properties["bounce"] == ("hard" if of == "address" else "soft")
    assert one.properties["counts"] is (of != "us")


@pytest.mark.parametrize(
    ("status", "bounce"),
    [("5.1.1", "hard"), ("5.0.0", "soft"), ("5.7.1", "soft"), ("5.2.2", "soft"), ("5.1.0", "soft")],
)
def test_a_returned_letter_is_hard_by_its_code(status: str, bounce: str) -> None:
    from passaparola.channel.message_ids import sign_message_id

    ours = f"<{sign_message_id(SECRET, '7-0-email')}.passaparola@bottega.example>"
    [one] = parse_email(report("dsn", "alice@example.org", ours, status=status), [], SECRET).events
    assert one.properties["bounce"] == bounce
