"""How sure a figure is: intervals that hold for small numbers, too. Shares by Wilson, differences of shares by
Newcombe."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

Z_95 = NormalDist().inv_cdf(0.975)  # 95 percent, both sides


@dataclass(frozen=True)
class Interval:
    """A figure, and the bounds between which it lies 95 times out of 100."""

    value: float
    low: float
    high: float

    @property
    def is_certain(self) -> bool:
        """Return whether it is surely more, or surely less, than nothing."""
        return self.low > 0 or self.high < 0

    def as_json(self) -> list[float]:
        return [round(self.value, 6), round(self.low, 6), round(self.high, 6)]


def share_interval(hits: int, of: int) -> Interval:
    """Compute Wilson's score interval: https://doi.org/10.1080/01621459.1927.10502953 Raises ValueError: more hits
    than the base has."""
    if not 0 <= hits <= max(of, 0):
        raise ValueError(f"{hits} of {of} is no share")
    if of <= 0:
        return Interval(0.0, 0.0, 1.0)
    p, z = hits / of, Z_95
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return Interval(p, max(0.0, middle - half), min(1.0, middle + half))


def difference_interval(hits: int, of: int, other_hits: int, other_of: int) -> Interval:
    """Compute the difference of two independent shares, Newcombe's hybrid score (method 10):
    https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8"""
    interval, two = share_interval(hits, of), share_interval(other_hits, other_of)
    if of <= 0 or other_of <= 0:
        return Interval(0.0, -1.0, 1.0)
    gap = interval.value - two.value
    low = gap - sqrt((interval.value - interval.low) ** 2 + (two.high - two.value) ** 2)
    high = gap + sqrt((interval.high - interval.value) ** 2 + (two.value - two.low) ** 2)
    return Interval(gap, low, high)


def mean_difference_interval(
    of: int, total: float, squares: float, other_of: int, other_total: float, other_squares: float
) -> Interval:
    """Compute the difference of two means, from counts, sums and sums of squares (Welch, large samples)."""
    if of < 2 or other_of < 2:
        return Interval(0.0, float("-inf"), float("inf"))
    gap = total / of - other_total / other_of
    half = Z_95 * sqrt(_variance(of, total, squares) / of + _variance(other_of, other_total, other_squares) / other_of)
    return Interval(gap, gap - half, gap + half)


def _variance(of: int, total: float, squares: float) -> float:
    return max(0.0, (squares - total * total / of) / (of - 1))
