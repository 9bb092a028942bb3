"""How a message of ours is called outside: ours to read, and nobody's to forge who did not get it.

In a Message-ID, in the envelope's sender (VERP, https://cr.yp.to/proto/verp.txt) and in the subject of a no by letter.
"""

import hmac
import re
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

SIGNED = 12  # hexadecimal digits: a local part is 64 octets at most (RFC 5321, 4.5.3.1.1)
NAME = r"\d+-\d+-[a-z]+\.[0-9a-f]{12}"


class MessageId(NamedTuple):
    """The primary key of a message in the ledger, written `12-0-email` outside the database."""

    enrolment: int
    step: int
    medium: str

    def __str__(self) -> str:
        return f"{self.enrolment}-{self.step}-{self.medium}"

    @classmethod
    def parse(cls, text: str) -> "MessageId | None":
        """Read an id as it is written outside. Return None where it is none."""
        enrolment, _, rest = text.partition("-")
        step, _, medium = rest.partition("-")
        if not (enrolment.isdigit() and step.isdigit() and medium.isalpha() and len(enrolment) < 19 and len(step) < 5):
            return None
        return cls(int(enrolment), int(step), medium)


def sign_message_id(secret: str, message: str) -> str:
    """Sign a message's id: `12-0-email` becomes `12-0-email.<signature>`."""
    return f"{message}.{_signature(secret, message)}"


def read_signed_id(secret: str, name: str) -> str:
    """Return the id of the message that a Message-ID names; empty where it is no name of ours, or forged."""
    message, _, signature = name.lower().rpartition(".")
    return message if message and hmac.compare_digest(signature, _signature(secret, message)) else ""


def find_signed_id(secret: str, text: str) -> str:
    """Return the first message of ours that a text names by its Message-ID, or empty."""
    names = re.findall(rf"<({NAME})\.passaparola@", text, re.I)
    return next((id_ for name in names[:20] if (id_ := read_signed_id(secret, name))), "")


def envelope_sender(address: str, secret: str, message: str) -> str:
    """Build the envelope's sender: `bounce@example.com` and a message's id become
    `bounce+12-0-email.<signature>@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local}+{sign_message_id(secret, message)}@{domain}"


def read_envelope(address: str, secret: str) -> str:
    """Return the id of the message that an envelope's recipient names, or empty."""
    return read_signed_id(secret, address.rpartition("@")[0].partition("+")[2])


def _signature(secret: str, message: str) -> str:
    return blake2b(message.encode(), key=_key(secret), digest_size=SIGNED // 2).hexdigest()


@lru_cache(maxsize=8)
def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"passaparola message", "sha256")
