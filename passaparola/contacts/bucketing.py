"""Buckets: a number from 0 to 9,999 for each contact and purpose, the same for ever and on every database.

Arithmetic that SQLite and PostgreSQL share, in place of a hash function that they do not; every step stays below 2^62.
"""

from hashlib import sha256
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, literal

BUCKETS = 10_000
PRIME = 2**31 - 1  # Mersenne's; what is multiplied is always smaller


def bucket(contact_id: Any, purpose: str) -> Any:
    """Compute a contact's bucket, in SQL over a column or in Python over a number, with the same result. `purpose`
    is such as `holdout of welcome`."""
    dice = sha256(purpose.encode()).digest()
    first, second, third = (int.from_bytes(dice[at : at + 4], "big") % PRIME for at in (0, 4, 8))
    number = contact_id
    if isinstance(contact_id, int):
        for factor, shift in ((first, second), (third, first), (second, third)):
            number = ((number % PRIME) * (factor + 1) + shift) % PRIME
            number = ((number // 65536 + factor) * (number % 65536 + 1)) % PRIME
        return number % BUCKETS
    for factor, shift in ((first, second), (third, first), (second, third)):
        number = ((number % _big_integer(PRIME)) * _big_integer(factor + 1) + _big_integer(shift)) % _big_integer(PRIME)
        number = (
            (number // _big_integer(65536) + _big_integer(factor)) * (number % _big_integer(65536) + _big_integer(1))
        ) % _big_integer(PRIME)
    return number % _big_integer(BUCKETS)


def _big_integer(number: int) -> ColumnElement[int]:
    return literal(number, BigInteger(), literal_execute=True)


def in_share(contact_id: object, purpose: str, part: float) -> ColumnElement[bool]:
    """Return whether a contact belongs to the first `part` of all, such as 0.05."""
    return and_(bucket(contact_id, purpose) < round(part * BUCKETS))


def pick_variant(contact_id: object, purpose: str, shares: dict[str, int]) -> ColumnElement[str]:
    """Pick a contact's variant; `shares` are percentages that add up to 100."""
    number, upto, cases = bucket(contact_id, purpose), 0, []
    for name, percent in shares.items():
        upto += percent * BUCKETS // 100
        cases.append((number < upto, literal(name)))
    return case(*cases, else_=literal(next(reversed(shares))))
