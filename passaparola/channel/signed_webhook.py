"""What webhooks have in common: HMACs over raw bytes compared in constant time, several secrets at once, money,
times."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import orjson
from babel.numbers import get_currency_precision, list_currencies

from passaparola.errors import Forged, Misconfigured

MAX_AMOUNT = 2**62


def split_secrets(setting: str, name: str) -> list[str]:
    """Split a setting that may hold two secrets. While a secret is changed both hold: `new, old`. Raises
    Misconfigured."""
    secrets = [secret.strip() for secret in setting.split(",") if secret.strip()]
    if not secrets:
        raise Misconfigured(f"Set PASSAPAROLA_{name} to the secret that the sender signs with.")
    return secrets


def verify_signature(body: bytes, given: Iterable[bytes], secrets: Iterable[str]) -> None:
    """Verify a body's signature in constant time. Raises Forged: none of the signatures is HMAC-SHA256 of the body
    under any of the secrets."""
    wanted = [hmac.digest(secret.encode(), body, "sha256") for secret in secrets]
    held = [
        hmac.compare_digest(signature, expected) for signature in given for expected in wanted
    ]  # all of them, always
    if not any(held):
        raise Forged("The signature does not hold.")


def signature_from_base64(signature: str) -> bytes:
    """Decode a signature. Raises Forged."""
    try:
        return base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise Forged("The signature is not base64.") from None


def signature_from_hex(signature: str) -> bytes:
    """Decode a signature. Raises Forged."""
    try:
        return bytes.fromhex(signature)
    except ValueError:
        raise Forged("The signature is not hexadecimal.") from None


def body_digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def parse_json(body: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises ValueError, in words."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("this is not JSON") from None
    if not isinstance(payload, dict):
        raise ValueError("this is not a JSON object")
    return payload


def parse_instant(value: object) -> datetime:
    """Parse an instant; one without a zone is in UTC. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 < value < 4_102_444_800:
            raise ValueError(f"{value} is not a time")
        return datetime.fromtimestamp(value, tz=UTC)
    if not isinstance(value, str):
        raise ValueError("there is no time in it")
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"“{value[:40]}” is not a time") from None
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    if not 1990 < instant.year < 2200:
        raise ValueError(f"“{value[:40]}” is not a time of ours")
    return instant.astimezone(UTC)


def parse_currency(value: object) -> str:
    """Parse a currency's code. Raises ValueError."""
    code = value.upper() if isinstance(value, str) else ""
    if code not in list_currencies():
        raise ValueError(f"“{str(value)[:10]}” is not a currency")
    return code


def to_minor_units(value: object, currency: str) -> int:
    """Convert an amount to minor units, from major units, as text or number. Raises ValueError."""
    try:
        exact = Decimal(str(value)).scaleb(get_currency_precision(currency))
        amount = int(exact.to_integral_value())
    except (ArithmeticError, ValueError):
        raise ValueError(f"“{str(value)[:20]}” is not an amount") from None
    if abs(amount) >= MAX_AMOUNT:
        raise ValueError("this is more money than there is")
    return amount


def parse_count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1_000_000_000 else 1


def clean_text(value: object, max_chars: int = 200) -> str:
    """Return a value as one line of text, without characters that no database stores."""
    if type(value) is str and value.isprintable() and "  " not in value and len(value) <= max_chars:
        return value.strip()
    return " ".join(str(value).replace("\x00", "").split())[:max_chars] if isinstance(value, str | int) else ""


def without_empty(pairs: Mapping[str, Any]) -> dict[str, str]:
    """Return the pairs that have a value."""
    return {name: text for name, value in pairs.items() if value is not None and (text := clean_text(value))}


def parse_mime_part(body: Mapping[str, Any], *path: str) -> Any:
    value: Any = body
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def as_list(value: object) -> list[Any]:
    """Return a list where one was expected, else an empty one."""
    return value if isinstance(value, list) else []


def as_mapping(value: object) -> dict[str, Any]:
    """Return an object where one was expected, else an empty one."""
    return value if isinstance(value, dict) else {}
