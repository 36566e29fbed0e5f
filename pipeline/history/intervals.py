"""A share out of a sample, and where the true one lies: Wilson's score interval.

E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
Statistical Association 22 (1927), 209-212. Of the intervals compared by R. G. Newcombe, "Two-sided confidence intervals
for the single proportion: comparison of seven methods", Statistics in Medicine 17 (1998), 857-872, it is method 3.
Reviewed parts are few and their shares near 0, where the textbook's p +- z sqrt(pq/n) says 0 +- 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `n`, as a share with its interval; all three are None where n is 0."""

    count: int
    n: int
    share: float | None
    low: float | None
    high: float | None
    confidence: float = CONFIDENCE

    @classmethod
    def of(cls, count: int, n: int, confidence: float = CONFIDENCE) -> Rate:
        """Raises ValueError where count is not within 0 and n."""
        if n == 0 and count == 0:
            return cls(0, 0, None, None, None, confidence)
        low, high = wilson(count, n, confidence)
        return cls(count, n, count / n, low, high, confidence)


def wilson(count: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Bounds of the true share where `count` of `n` were seen. Raises ValueError where they cannot have been."""
    if not 0 <= count <= n or n < 1:
        raise ValueError(f"{count} of {n} is no share")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, z2 = count / n, z * z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = z * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if count == 0 else middle - reach  # exact where rounding would leave 1e-17
    high = 1.0 if count == n else middle + reach
    return low, high
