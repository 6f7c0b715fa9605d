"""How sure a comparison is, when whole shops were dealt to two versions and not single runs.

Runs of one shop are alike (one catalogue, one kind of room), so a thousand runs of three shops say little. The spread
between shops is measured and widens every interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
MIN_RUNS, MIN_SHOPS = 30, 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share or a mean over shops, with its interval of 95 %."""

    value: float
    low: float
    high: float
    runs: int
    shops: int
    effect: float  # how many times wider the variance is than that of independent runs

    @property
    def is_enough(self) -> bool:
        """Whether a verdict may rest on it."""
        return self.runs >= MIN_RUNS and self.shops >= MIN_SHOPS


def share(shops: Sequence[tuple[float, int]]) -> Estimate | None:
    """The share of good runs from (good, runs) per shop; None without any run.

    The interval is Wilson's (E. B. Wilson, JASA 22, 1927), with as many runs as independent ones would say as much:
    the variance between shops is the ratio estimator's (W. G. Cochran, Sampling Techniques, section 3.12).
    """
    runs = sum(number for _, number in shops)
    if not runs:
        return None
    value = sum(good for good, _ in shops) / runs
    alone = value * (1 - value) / runs
    effect = max(1.0, _variance(shops) / alone) if alone else 1.0
    said = runs / effect
    middle = (value + Z * Z / (2 * said)) / (1 + Z * Z / said)
    half = Z / (1 + Z * Z / said) * math.sqrt(value * (1 - value) / said + Z * Z / (4 * said * said))
    used = sum(number > 0 for _, number in shops)
    return Estimate(value, max(0.0, middle - half), min(1.0, middle + half), runs, used, effect)


def mean(shops: Sequence[tuple[float, int]]) -> Estimate | None:
    """The mean from (sum, runs) per shop; None without any run. With one shop its interval is without end."""
    runs = sum(number for _, number in shops)
    if not runs:
        return None
    value = sum(total for total, _ in shops) / runs
    used = sum(number > 0 for _, number in shops)
    half = _t(used - 1) * math.sqrt(_variance(shops)) if used > 1 else math.inf
    return Estimate(value, value - half, value + half, runs, used, 1.0)


def difference(before: Estimate, after: Estimate) -> tuple[float, float, float]:
    """How much larger `after` is, and the interval (R. G. Newcombe, Statistics in Medicine 17, 1998, method 10)."""
    gap = after.value - before.value
    low = math.hypot(after.value - after.low, before.high - before.value)
    high = math.hypot(after.high - after.value, before.value - before.low)
    return gap, gap - low, gap + high


def runs_to_see(gap: float, before: Estimate, after: Estimate) -> int:
    """Runs that each version would need to tell a difference in shares of `gap` in four cases of five."""
    middle = min(0.99, max(0.01, (before.value + after.value) / 2))
    effect = max(before.effect, after.effect)
    power = NormalDist().inv_cdf(0.8)
    return math.ceil(effect * 2 * (Z + power) ** 2 * middle * (1 - middle) / gap**2)


def _variance(shops: Sequence[tuple[float, int]]) -> float:
    used = [(total, number) for total, number in shops if number]
    if len(used) < 2:
        return 0.0
    runs = sum(number for _, number in used)
    ratio = sum(total for total, _ in used) / runs
    spread = sum((total - ratio * number) ** 2 for total, number in used)
    return len(used) / (len(used) - 1) * spread / runs**2


def _t(freedom: int) -> float:
    """Student's t for the interval (Abramowitz and Stegun 26.7.5); too small below three degrees of freedom."""
    z = Z
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
