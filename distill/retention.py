"""Retention factors: how much of the memory is kept after segment t of T.

From the long-term curve, Delta_t is the growth of the mean long-term process in cycle t, one cycle per segment:

    increment    RF(t, T) = Delta_t / sum_{i<=T} Delta_i    a reader of the RMAAT paper; positive, decreasing, sums to 1
    streaming    RF(t)    = Delta_t / sum_{i<=t} Delta_i    ours; needs no T
    saturation   RF(t)    = Delta_t / sum_{all i} Delta_i   ours; needs no T
    constant     RF(T)    = 1 / T                           ours; a control
    none         RF       = 1                               ours; a control: no retention

With a linear long-term process and fast variables that restart, the increments are geometric,
Delta_t = Delta_1 exp(-a (t - 1)) with a = gamma^l tau_cycle / tau_p^l, and
RF(t, T) = exp(-a (t - 1)) (1 - exp(-a)) / (1 - exp(-a T)).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from distill.errors import DistillError

VARIANTS = ("increment", "streaming", "saturation", "constant", "none")

# Growth in one cycle below this share of the whole is the rounding of a saturated curve; the law takes over.
RESOLUTION = 1e-10


@dataclass(frozen=True)
class LongTermCurve:
    """Increments of the mean long-term process, cycle by cycle, and the saturating law fitted to them."""

    increments: NDArray[np.float64]
    """(cycle,), all positive: `simulated` ones, continued by the law."""
    simulated: int
    """How many increments come from the simulation itself."""
    rate: float
    """a of the law p^l(n) = saturation (1 - exp(-a n)), per cycle."""
    rate_error: float
    """Standard error of `rate`, from the fit's covariance."""
    residual: float
    """Largest distance between law and curve, as a share of the curve's end."""
    saturation: float
    """Sum of all increments, to infinity: the simulated ones and those of the law after them."""


def fit_curve(long_term: NDArray[np.float64], cycles: int) -> LongTermCurve:
    """Increments of a simulated curve, continued by its fitted law to `cycles`.

    Parameters
    ----------
    long_term
        Mean long-term process at the start of the run and at each cycle's end, (simulated cycles + 1,).
    cycles
        How many increments are wanted; those that were simulated are taken as they are, until the curve is flat.

    Raises
    ------
    DistillError
        Fewer than 3 cycles that grow, or increments that are not positive and decreasing.
    """
    growth = np.diff(long_term)
    resolved = np.abs(growth) >= RESOLUTION * np.ptp(long_term)
    increments = growth[np.logical_and.accumulate(resolved)]
    if len(increments) < 3:
        raise DistillError(
            f"the long-term process grows in {len(increments)} cycles of the traces and its curve needs at least 3; "
            "simulate more cycles or a longer long_term_time_constant"
        )
    wrong = (increments <= 0) | (np.diff(increments, prepend=np.inf) >= 0)
    if wrong.any():
        cycle = int(np.argmax(wrong)) + 1
        latest = ", ".join(f"{increment:.4g}" for increment in increments[:cycle][-3:])
        raise DistillError(
            "the increments of the long-term process are not positive and decreasing "
            f"({latest} up to cycle {cycle}); use longer cycles or weaker coupling"
        )
    count = np.arange(len(long_term))
    guess = (long_term[-1] - long_term[0], np.log(increments[0] / increments[1]))
    try:
        (saturation, rate), covariance = curve_fit(_saturating, count, long_term - long_term[0], p0=guess)
    except RuntimeError as error:
        raise DistillError(
            "the long-term curve does not saturate within the traces, so that no law fits it; "
            "simulate more cycles or a shorter long_term_time_constant"
        ) from error
    deviation = np.abs(_saturating(count, saturation, rate) - (long_term - long_term[0])).max()
    continued = increments[-1] * np.exp(-rate * np.arange(1, cycles - len(increments) + 1))
    return LongTermCurve(
        increments=np.concatenate([increments, continued])[:cycles],
        simulated=min(len(increments), cycles),
        rate=float(rate),
        rate_error=float(np.sqrt(covariance[1, 1])),
        residual=float(deviation / (long_term[-1] - long_term[0])),
        saturation=float(increments.sum() + increments[-1] / np.expm1(rate)),
    )


def retention_parts(curve: LongTermCurve, variant: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight w(t) and total W(T) with RF(t, T) = w(t) / W(T), both of the curve's length.

    Two short rows in place of a table of all pairs: at 4,096 segments that is 64 kB instead of 134 MB.
    """
    increments = curve.increments
    one = np.ones(len(increments))
    return {
        "increment": (increments, increments.cumsum()),
        "streaming": (increments / increments.cumsum(), one),
        "saturation": (increments / curve.saturation, one),
        "constant": (one, one.cumsum()),
        "none": (one, one),
    }[variant]


def _saturating(cycle: NDArray, saturation: float, rate: float) -> NDArray:
    return saturation * -np.expm1(-rate * cycle)
