"""Retention factors: RF(t, T) is the share of the memory that is kept after segment t of T.

This module has every formula; `model.memory.retention` only divides w(t) by W(T), which the tables hold. From the
long-term curve p, Delta_t is the growth of p in cycle t, one cycle per segment:

    increment    RF(t, T) = Delta_t / sum_{i<=T} Delta_i    the RMAAT paper as we read it; positive, decreasing, sum 1
    area         RF(t, T) = A_t / sum_{i<=T} A_i            the paper's earlier version as we read it; A_t is the area
                                                            under the fitted curve in cycle t, so RF grows with t
    horizon      see `slowed_factors`                       ours; for many segments
    streaming    RF(t)    = Delta_t / sum_{i<=t} Delta_i    ours; needs no T
    saturation   RF(t)    = Delta_t / sum_{all i} Delta_i   ours; needs no T
    constant     RF(T)    = 1 / T                           ours; a control
    none         RF       = 1                               ours; a control: no retention
    random       increment, shuffled over t for each T      ours; a control
    trace_area   as area, under the simulated curve         ours; A_t beyond the simulated cycles rises with Delta_t

With a linear long-term process and fast variables that restart, the increments are geometric,
Delta_t = Delta_1 exp(-a (t - 1)) with a = gamma^l tau_cycle / tau_p^l, and `geometric_factors` is the closed form.

Four functions give the variant increment. `increment_factors` is the main one. `separable_factors` is its form for the
stored w and W, `sampled_factors` adds derivatives for fits, and `geometric_factors` is the closed form.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from distill.law import Law
from rmaat.base.arrays import Array

if TYPE_CHECKING:
    # The curve's module imports an optimiser, which reading tables does not need.
    from distill.long_term import LongTermCurve


def increment_factors(increments: Array, segments: int) -> Array:
    """RF(t, T) of the variant increment for T = `segments`, (segment,).

    Parameters
    ----------
    increments
        Delta_t for at least T cycles, (cycle,), in any unit.
    """
    return separable_factors(increments[:segments], increments.cumsum()[:segments])


def separable_factors(weight: Array, total: Array) -> Array:
    """RF(t, T) = w(t) / W(T) for the longest T, (segment,), from w and W up to that T, (segment,) each."""
    return weight / total[-1]


def sampled_factors(values: Array, slopes: Array) -> tuple[Array, Array]:
    """RF(t, T) of the variant increment from the curve itself, (segment,), and derivatives (segment, parameter).

    Parameters
    ----------
    values
        Long-term process at the ends of cycles 1 to T, (segment,); it is 0 at the start.
    slopes
        Derivatives of `values` by each parameter, (segment, parameter).
    """
    # The increments sum to the last value, so no running sum is needed.
    factors = np.diff(values, prepend=0.0) / values[-1]
    increments = np.diff(slopes, axis=0, prepend=0.0)
    return factors, (increments - factors[:, None] * slopes[-1]) / values[-1]


def slowed_factors(law: Law, cycles: float, segments: int) -> Array:
    """RF(t, T) of the variant horizon for T = `segments`, (segment,).

    They are the factors of the fitted law after its time axis is stretched: T cycles of the stretched law are `cycles`
    cycles of the law. For the geometric law with cycles = A / a this is its closed form with a = A / T.
    """
    edge = cycles * np.arange(segments + 1) / segments
    return law.growth(edge[:-1], edge[1:]) / law.values(cycles)


def shuffled_factors(factors: Array, order: np.ndarray) -> Array:
    """RF(t, T) of the variant random, (segment,): position i gets the factor whose index is the rank of order[i]."""
    # Applied twice, argsort gives the rank of each entry.
    return factors[np.argsort(np.argsort(order))]


def geometric_factors(segment: Array, segments: int, rate: float) -> Array:
    """RF(t, T) = exp(-a (t - 1)) (1 - exp(-a)) / (1 - exp(-a T)) for increments that fall by exp(-a) a cycle.

    Parameters
    ----------
    segment
        t from 1 to T, of any shape; values between whole numbers are allowed.
    segments
        T.
    rate
        a, per cycle.
    """
    # expm1 keeps the digits of a small rate; the two minus signs cancel.
    return np.exp(-rate * (segment - 1)) * np.expm1(-rate) / np.expm1(-rate * segments)


def remaining_shares(factors: Array) -> Array:
    """The share of each segment's writing in the memory that segment T reads, (segment,), from RF(t, T), (segment,).

    It is the product RF(t, T) RF(t + 1, T) ... RF(T - 1, T). It is 1 for segment T, which still has its own tokens.
    """
    return np.append(np.cumprod(factors[:-1][::-1])[::-1], 1.0)


def retention_parts(curve: "LongTermCurve", slowed: Array, order: np.ndarray) -> dict[str, tuple[Array, Array]]:
    """The weight w(t) and the total W(T) of each variant, both of the curve's length, with RF(t, T) = w(t) / W(T).

    These two rows replace a table of all pairs: at 4,096 segments 64 kB instead of 134 MB. The rows of horizon and
    random hold for the longest T alone.

    Parameters
    ----------
    slowed
        Factors of horizon for the longest T, (segment,), from `slowed_factors`.
    order
        A permutation of 1 to T, (segment,), from `shuffled_order`.
    """
    increments, one = curve.increments, np.ones(len(curve.increments))
    area = curve.law.areas(len(increments))
    return {
        "increment": (increments, increments.cumsum()),
        "area": (area, area.cumsum()),
        "horizon": (slowed, slowed.cumsum()),
        "streaming": (increments / increments.cumsum(), one),
        "saturation": (increments / curve.saturation, one),
        "constant": (one, one.cumsum()),
        "none": (one, one),
        "random": (increments[order - 1], increments.cumsum()),
    }


def continued_areas(areas: Array, increments: Array) -> Array:
    """The areas (cycle,) under the simulated curve in each cycle, continued to as many cycles as `increments` (cycle,).

    If every cycle has the same input, the area grows from cycle t to t + 1 by Delta_t times a constant. The simulated
    cycles, at least two, give the constant.
    """
    known = areas[: len(increments)]
    # The later half of the cycles, because the first ones differ if the fast variables do not restart.
    first, last = (len(areas) - 1) // 2, len(areas) - 1
    constant = (areas[last] - areas[first]) / increments[first:last].sum() if first < len(increments) else 0.0
    growth = constant * increments[last:-1]
    return np.concatenate([known, areas[-1] + growth.cumsum()])


def shuffled_order(segments: int, seed: int) -> np.ndarray:
    """A random permutation of 1 to `segments`, (segment,). For any T, `shuffled_factors` uses its first T entries.

    With the same seed, a longer permutation ranks these entries in the same order.
    """
    keys = np.random.default_rng(seed).random(segments)
    return (np.argsort(np.argsort(keys)) + 1).astype(np.int32)


class StreamingRetention(Iterator[float]):
    """An endless iterator over the factors of the variant streaming, for a sequence of unknown length.

    It stores the simulated increments, the law that continues them and one running total, so memory is constant.

        factors = tables.streaming()
        memory = next(factors) * memory

    Parameters
    ----------
    simulated
        Increments of the simulation, (cycle,); empty if the law replaces them.
    law
        The law that continues them, scaled to meet the last of them.
    """

    def __init__(self, simulated: Array, law: Law) -> None:
        self._simulated, self._law = simulated, law
        self._scale = law.scale_to_continue(simulated)
        self._total = 0.0
        self.segment = 0
        """How many factors have been yielded."""

    def __next__(self) -> float:
        increment = self._increment(self.segment)
        self._total += increment
        self.segment += 1
        return increment / self._total

    def _increment(self, cycle: int) -> float:
        if cycle < len(self._simulated):
            return float(self._simulated[cycle])
        return float(self._law.increments(cycle + 1, 1)[0]) * self._scale
