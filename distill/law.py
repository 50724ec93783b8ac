"""Laws of saturation: how the mean long-term process grows with cycles.

    p(u) = S sum_k f_k (1 - exp(-(a_k u)^b))        u in cycles, sum_k f_k = 1, 0 < b <= 1

    geometric    one rate, b = 1     increments fall by exp(-a): the law of a linear process under equal cycles
    stretched    one rate, b < 1     a spread of rates
    two_rates    two rates, b = 1    a fast and a slow share

Increments of each law are positive and decrease. This module needs no optimiser, so that reading tables stays quick.
The laws are ours; the geometric one follows from the equations of the RMAAT paper.
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
        """p(end) - p(start), of the arguments' broadcast shape; `start` and `end` are in cycles.

        A plain difference would lose all digits where the curve is flat.
        """
        total = np.zeros(np.broadcast_shapes(np.shape(start), np.shape(end)))
        for share, rate in zip(self.shares, self.rates, strict=True):
            early, late = ((rate * np.asarray(cycle, dtype=float)) ** self.stretch for cycle in (start, end))
            total += share * np.exp(-early) * -np.expm1(early - late)
        return self.saturation * total

    def values(self, cycle: ArrayLike) -> Array:
        """p(cycle), of the shape of `cycle`."""
        return self.growth(0.0, cycle)

    def increments(self, first: int, count: int) -> Array:
        """Increments of cycles `first` to `first + count - 1`, counted from 1, (count,)."""
        end = np.arange(first, first + count, dtype=float)
        return self.growth(end - 1, end)

    def rest(self, cycle: int) -> float:
        """p(infinity) - p(cycle): the growth after `cycle` cycles."""
        decayed = (np.array(self.rates) * cycle) ** self.stretch
        return float(self.saturation * np.dot(self.shares, np.exp(-decayed)))

    def areas(self, cycles: int) -> Array:
        """The area under the law in each of `cycles` cycles, (cycle,), in the unit of the curve times a cycle.

        From integral exp(-(a u)^b) du = P(1 / b, (a u)^b) Gamma(1 / b) / (a b), with P the regularised incomplete
        gamma function.
        """
        # Importing it takes 0.1 s, which reading tables avoids.
        from scipy.special import gamma, gammainc

        edge = np.arange(cycles + 1.0)
        exponent = 1 / self.stretch
        missing = np.zeros(cycles)
        for share, rate in zip(self.shares, self.rates, strict=True):
            whole = gamma(exponent) * exponent / rate
            missing += share * whole * np.diff(gammainc(exponent, (rate * edge) ** self.stretch))
        return self.saturation * (1 - missing)

    def scale_to_continue(self, increments: Array) -> float:
        """The factor that makes the law continue `increments` (cycle,) without a step; 1 if there are none."""
        if not len(increments):
            return 1.0
        return float(increments[-1] / self.increments(len(increments), 1)[0])


def cycles_to_reach(law: Law, share: float) -> float:
    """The number of cycles in which `law` grows to `share` of its saturation; `share` is above 0 and below 1."""
    if len(law.rates) == 1:
        return (-np.log1p(-share)) ** (1 / law.stretch) / law.rates[0]
    # No closed form for several rates: bisect, starting from the slowest rate alone, which is an upper bound.
    low, high = 0.0, -np.log1p(-share) / min(law.rates)
    for _ in range(200):
        middle = (low + high) / 2
        if float(law.values(middle)) < share * law.saturation:
            low = middle
        else:
            high = middle
    return high
