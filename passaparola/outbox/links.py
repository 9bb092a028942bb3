"""The links that know who follows them: signed, bound to one purpose, impossible to guess.

A token names a message of the ledger; where a click leads is read from that launch's frozen content, so there is no
address in it that anyone could change.
"""

import hmac
from binascii import b2a_base64
from functools import cached_property
from hashlib import blake2b
from typing import Literal, NamedTuple, get_args

from passaparola.channel.message_ids import MessageId

Purpose = Literal[
    "click", "unsubscribe", "preferences", "survey", "pixel", "box", "confirm", "data", "forget", "referral"
]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


URLSAFE = bytes.maketrans(b"+/", b"-_")


class LinkRef(NamedTuple):
    """What a click or a share needs to find its frozen link without any look-up: the message, its launch and its
    wording."""

    message: MessageId
    launch: int
    locale: str
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.message}~{self.launch}~{self.locale}~{self.variant}"

    @classmethod
    def parse(cls, text: str) -> "LinkRef | None":
        """Read a reference as it stands in a token. Return None where it is none."""
        name, *rest = text.split("~")
        message = MessageId.parse(name)
        if message is None or len(rest) != 3 or not rest[0].isdigit():
            return None
        return cls(message, int(rest[0]), rest[1], rest[2])


class Links:
    def __init__(self, secret: str, public_url: str) -> None:
        self.secret, self.public_url = secret, public_url

    @cached_property
    def _keys(self) -> dict[str, bytes]:
        secret = self.secret.encode()
        return {purpose: hmac.digest(secret, f"passaparola {purpose}".encode(), "sha256") for purpose in PURPOSES}

    def sign(self, purpose: Purpose, message: str) -> str:
        """Sign a text for one purpose, with BLAKE2b under a key of that purpose (RFC 7693, 2.9), 128 bits of it.

        The form is that of itsdangerous' Signer; a test holds it to that, without its seven calls three to six
        times an email.
        """
        signature = blake2b(message.encode(), key=self._keys[purpose], digest_size=16).digest()
        return f"{message}.{b2a_base64(signature, newline=False).translate(URLSAFE, b'=').decode()}"

    def read_ref(self, purpose: Purpose, token: str) -> LinkRef | None:
        """Return the frozen link that a token refers to, or None."""
        text = self.read(purpose, token)
        return LinkRef.parse(text) if text else None

    def read(self, purpose: Purpose, token: str) -> str | None:
        """Return the text that a token of this purpose was made of; None where we did not make it."""
        text, _, _ = token.rpartition(".")
        if not text.isascii() or not token.isascii():
            return None
        return text if hmac.compare_digest(self.sign(purpose, text), token) else None

    def unsubscribe(self, message: str) -> str:
        return f"{self.public_url}/u/{self.sign('unsubscribe', message)}"

    def preferences(self, message: str) -> str:
        return f"{self.public_url}/preferences/{self.sign('preferences', message)}"

    def survey(self, message: str) -> str:
        return f"{self.public_url}/s/{self.sign('survey', message)}"

    def pixel(self, message: str) -> str:
        return f"{self.public_url}/o/{self.sign('pixel', message)}"

    def referral(self, ref: LinkRef) -> str:
        """Return the sharer's own link."""
        return f"{self.public_url}/w/{self.sign('referral', str(ref))}"

    def clicks(self, ref: LinkRef, count: int) -> list[str]:
        base = f"{self.public_url}/c/{self.sign('click', str(ref))}/"
        return [base + str(n) for n in range(count)]
