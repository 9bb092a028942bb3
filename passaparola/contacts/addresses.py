"""Normalisation of addresses to the one form in which they are stored and compared."""

import hmac
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email


def normalise_address(medium: str, raw: str, country: str | None = None) -> str:
    """Normalise an address; `country` is for phone numbers without a prefix. Raises ValueError, in words for a rejects
    file."""
    return _normalise(medium, raw, country)


@lru_cache(maxsize=4096)  # of one person several things come back within minutes
def _normalise(medium: str, raw: str, country: str | None) -> str:
    value = raw.strip()
    if not value.isprintable() and any(ord(sign) < 32 or ord(sign) == 127 for sign in value):
        raise ValueError(f"{medium}: control characters are not part of an address")
    if medium == "email":
        return _normalise_email(value)
    if medium in ("phone", "sms", "whatsapp"):
        return _normalise_phone(value, country)
    handle = value.removeprefix("@").lower()
    if not handle or len(handle) > 100 or any(sign.isspace() for sign in handle):
        raise ValueError(f"{medium}: “{value[:60]}” is not a handle")
    return handle


@lru_cache(maxsize=4096)
def _check_domain(domain: str) -> str:
    return validate_email(f"x@{domain}", check_deliverability=False, test_environment=True).domain


def _normalise_email(value: str) -> str:
    local, at, domain = value.rpartition("@")
    try:
        if (
            at
            and local.replace(".", "").replace("_", "").replace("-", "").isalnum()
            and local.isascii()
            and not (local.startswith(".") or local.endswith(".") or ".." in local or len(local) > 64)
        ):
            return f"{local}@{_check_domain(domain)}".lower()
        return validate_email(value, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError as error:
        raise ValueError(f"email: “{value[:60]}”: {error}") from None


def _normalise_phone(value: str, country: str | None) -> str:
    try:
        number = phonenumbers.parse(value, country)
    except phonenumbers.NumberParseException:
        raise ValueError(f"phone: “{value[:40]}” is not a number; write it with its prefix, +39…") from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError(f"phone: “{value[:40]}” has too few or too many digits")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def address_key(secret: str, medium: str, value: str) -> str:
    """Return the keyed hash by which a suppression knows an address that has been forgotten."""
    return hmac.digest(secret.encode(), f"{medium}:{value}".encode(), "sha256").hex()[:40]
