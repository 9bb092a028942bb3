"""How a message of ours is called outside: ours to read, and nobody's to forge who did not get it.

In a Message-ID, in the envelope's sender (VERP, https://cr.yp.to/proto/verp.txt) and in the subject of a no by letter.
"""

import hmac
import re
from functools import lru_cache
from hashlib import blake2b

SIGNED = 12  # hexadecimal digits: a local part is 64 octets at most (RFC 5321, 4.5.3.1.1)
NAME = r"\d+-\d+-[a-z]+\.[0-9a-f]{12}"


def message_key(message: str) -> tuple[int, int, str] | None:
    """The ledger's key in a message's name, `12-0-email`."""
    enrolment, _, rest = message.partition("-")
    step, _, medium = rest.partition("-")
    if not (enrolment.isdigit() and step.isdigit() and medium.isalpha() and len(enrolment) < 19 and len(step) < 5):
        return None
    return int(enrolment), int(step), medium


def named(secret: str, message: str) -> str:
    """`12-0-email` becomes `12-0-email.<signature>`."""
    return f"{message}.{_signature(secret, message)}"


def read_name(secret: str, name: str) -> str:
    """The id of the message that is called so; empty where it is no name, or forged."""
    message, _, signature = name.lower().rpartition(".")
    return message if message and hmac.compare_digest(signature, _signature(secret, message)) else ""


def first_named(secret: str, text: str) -> str:
    """The first message of ours that a text names by its Message-ID, or empty."""
    names = re.findall(rf"<({NAME})\.passaparola@", text, re.I)
    return next((id_ for name in names[:20] if (id_ := read_name(secret, name))), "")


def envelope_sender(address: str, secret: str, message: str) -> str:
    """`bounce@example.com` and a message's id become `bounce+12-0-email.<signature>@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local}+{named(secret, message)}@{domain}"


def bounced_to(address: str, secret: str) -> str:
    """The id of the message that an envelope's recipient names, or empty."""
    return read_name(secret, address.rpartition("@")[0].partition("+")[2])


def _signature(secret: str, message: str) -> str:
    return blake2b(message.encode(), key=_key(secret), digest_size=SIGNED // 2).hexdigest()


@lru_cache(maxsize=8)
def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"passaparola message", "sha256")
