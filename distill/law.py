"""Laws of saturation: how the mean long-term process grows with cycles.

    p(u) = S sum_k f_k (1 - exp(-(a_k u)^b))        u in cycles, sum_k f_k = 1, 0 < b <= 1

    geometric    one rate, b = 1     increments fall by exp(-a): the law of a linear process under equal cycles
    stretched    one rate, b < 1     a spread of rates
    two_rates    two rates, b = 1    a fast and a slow share

In each of them increments are positive and decrease. Reading tables needs these formulas, and no optimiser.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rmaat.base.arrays import Array


@dataclass(frozen=True)
class Law:
    """One saturating law."""

    name: str
    saturation: float
    """S, in the unit of the curve"""
    shares: tuple[float, ...]
    """f_k"""
    rates: tuple[float, ...]
    """a_k, per cycle"""
    stretch: float = 1.0
    """b"""

    def growth(self, start: ArrayLike, end: ArrayLike) -> Array:
        """p(end) - p(start), of the arguments' shape, without the loss of digits that a difference has when flat."""
        total = np.zeros(np.broadcast_shapes(np.shape(start), np.shape(end)))
        for share, rate in zip(self.shares, self.rates, strict=True):
            early, late = ((rate * np.asarray(cycle, dtype=float)) ** self.stretch for cycle in (start, end))
            total += share * np.exp(-early) * -np.expm1(early - late)
        return self.saturation * total

    def values(self, cycle: ArrayLike) -> Array:
        """p(cycle), of its argument's shape."""
        return self.growth(0.0, cycle)

    def increments(self, first: int, count: int) -> Array:
        """The increments of cycles `first` to `first + count - 1`, counted from 1; shape (count,)."""
        end = np.arange(first, first + count, dtype=float)
        return self.growth(end - 1, end)

    def rest(self, cycle: int) -> float:
        """p(infinity) - p(cycle)."""
        decayed = (np.array(self.rates) * cycle) ** self.stretch
        return float(self.saturation * np.dot(self.shares, np.exp(-decayed)))

    def slowed_factors(self, cycles: float, segments: int) -> Array:
        """RF(t, T), shape (segments,), of this law slowed so that T = `segments` cycles take it as far as `cycles` did.

        For the geometric law with cycles = A / a that is its closed form with a = A / T.
        """
        edge = cycles * np.arange(segments + 1) / segments
        return self.growth(edge[:-1], edge[1:]) / self.values(cycles)


def cycles_to_reach(law: Law, share: float) -> float:
    """The cycles after which `law` has grown to `share` (0 to 1, both excluded) of its saturation, by bisection."""
    if len(law.rates) == 1:
        return (-np.log1p(-share)) ** (1 / law.stretch) / law.rates[0]
    low, high = 0.0, -np.log1p(-share) / min(law.rates)
    for _ in range(200):
        middle = (low + high) / 2
        if float(law.values(middle)) < share * law.saturation:
            low = middle
        else:
            high = middle
    return high
