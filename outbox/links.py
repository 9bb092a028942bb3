"""The links that know who follows them: signed, bound to one purpose, impossible to guess.

A token names a message of the ledger; where a click leads is read from that launch's frozen content, so there is no
address in it that anyone could change.
"""

import hmac
from functools import cached_property
from typing import Any, Literal, get_args

from itsdangerous import BadSignature, Signer
from itsdangerous.signer import SigningAlgorithm

Purpose = Literal["click", "unsubscribe", "preferences", "survey", "pixel", "box", "confirm", "data", "forget", "word"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


class _Hmac(SigningAlgorithm):
    """HMAC-SHA256 in one call of OpenSSL, 128 bits of it: what itsdangerous does in four."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, "sha256")[:16]


class Links:
    def __init__(self, secret: str, public_url: str) -> None:
        self.secret, self.public_url = secret, public_url

    @cached_property
    def _signers(self) -> dict[str, Signer]:
        return {purpose: self._signer(purpose) for purpose in PURPOSES}

    def _signer(self, purpose: str) -> Signer:
        key = hmac.digest(self.secret.encode(), f"passaparola {purpose}".encode(), "sha256")
        return Signer(key, sep=".", key_derivation="none", algorithm=_Hmac())

    def token(self, purpose: Purpose, message: str) -> str:
        return self._signers[purpose].sign(message).decode()

    def read(self, purpose: Purpose, token: str) -> str | None:
        """The id of the message that a token names, or None."""
        try:
            return self._signers[purpose].unsign(token).decode()
        except (BadSignature, UnicodeDecodeError, ValueError):
            return None

    def unsubscribe(self, message: str) -> str:
        return f"{self.public_url}/u/{self.token('unsubscribe', message)}"

    def preferences(self, message: str) -> str:
        return f"{self.public_url}/preferences/{self.token('preferences', message)}"

    def survey(self, message: str) -> str:
        return f"{self.public_url}/s/{self.token('survey', message)}"

    def pixel(self, message: str) -> str:
        return f"{self.public_url}/o/{self.token('pixel', message)}"

    def word(self, message: str) -> str:
        """The sharer's own link."""
        return f"{self.public_url}/w/{self.token('word', message)}"

    def clicks(self, message: str, count: int) -> list[str]:
        base = f"{self.public_url}/c/{self.token('click', message)}/"
        return [base + str(n) for n in range(count)]


def message_id(enrolment: Any, step: Any, medium: Any) -> str:
    """How a message is called outside the database: in tokens, headers and at providers."""
    return f"{enrolment}-{step}-{medium}"
