"""Fit saturating laws to a simulated curve and choose one; with errors.

Each law of `distill.law` is fitted by least squares, and cross-validation over cycles chooses one. Stretches of
neighbouring cycles are left out in turn, because the curve sums up the noise of its cycles, and the law fitted to the
others predicts them. Laws within one standard error of the best, or within `EXACT` of the curve's end, count as equally
good. The one with the fewest parameters is chosen among them. The procedure is ours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import leastsq
from scipy.special import stdtrit

from distill.errors import DistillError
from distill.law import Law
from rmaat.base.arrays import Array

EXACT = 1e-4
"""Error, as a share of the curve's end, below which a law counts as exact; solvers leave about 1e-6."""

CONFIDENCE = 0.95
"""Probability of all intervals in the tables."""
FOLDS = 8
"""Largest number of stretches of cycles that are left out in turn."""

# Rates per cycle. A slower law is a straight line within any run, a faster one saturates in its first cycle.
_SLOWEST, _FASTEST = 1e-5, 20.0
_RATES = np.geomspace(_SLOWEST, _FASTEST, 61)
_STRETCHES = (0.3, 0.45, 0.6, 0.75, 0.9)
_PARAMETERS: Mapping[str, int] = {"geometric": 2, "stretched": 3, "two_rates": 4}


@dataclass(frozen=True)
class LawFit:
    """A law fitted to a curve, with its errors."""

    law: Law
    residual: float
    """largest distance between law and curve, as a share of the curve's end"""
    prediction_error: float
    """root mean square error at cycles left out, as a share of the curve's end"""
    without: tuple[Law, ...]
    """the law fitted without each stretch of cycles, for the jackknife"""


@dataclass(frozen=True)
class Rate:
    """The rate a of the geometric law, per cycle, with its error."""

    value: float
    error: float
    """standard error"""
    interval: tuple[float, float]
    """at `CONFIDENCE`"""
    freedom: float
    """degrees of freedom of the error"""


def fit_laws(growth: Array) -> tuple[LawFit, ...]:
    """All laws that `growth` has enough cycles to test, from the fewest parameters to the most.

    Parameters
    ----------
    growth
        Mean long-term process above its start at the ends of cycles 1, 2, ..., (cycle,), dimensionless; at least 3.

    Raises
    ------
    DistillError
        The curve does not saturate within the traces.
    """
    return _geometric_first(growth), *_other_fits(growth)


def fit_laws_until_exact(growth: Array) -> tuple[LawFit, ...]:
    """As `fit_laws`, but only the geometric law if it is exact: `choose_law` would choose it anyway."""
    geometric = _geometric_first(growth)
    return (geometric,) if geometric.prediction_error <= EXACT else (geometric, *_other_fits(growth))


def choose_law(fits: tuple[LawFit, ...], cycles: int) -> LawFit:
    """The fit with the fewest parameters among those that predict as well as the best of them."""
    best = min(fit.prediction_error for fit in fits)
    # A mean of squares has, for normal errors, a relative standard error of sqrt(2 / n).
    allowed = max(EXACT, best * np.sqrt(1 + np.sqrt(2 / cycles)))
    return next(fit for fit in fits if fit.prediction_error <= allowed)


def fit_rate(growth: Array) -> Rate:
    """The rate of the geometric law through `growth` (cycle,), with its error by linear approximation."""
    cycle = np.arange(1.0, len(growth) + 1)
    saturation, log_rate = _geometric_parameters(cycle, growth)
    rate = np.exp(log_rate)
    decayed = np.exp(-rate * cycle)
    slopes = np.stack([1 - decayed, saturation * cycle * decayed], axis=1)
    residual = growth - saturation * (1 - decayed)
    # Two parameters are fitted. The pseudo-inverse also serves a curve so flat that its slopes are parallel.
    freedom = len(growth) - 2
    covariance = np.linalg.pinv(slopes.T @ slopes) * (residual @ residual) / freedom
    error = float(np.sqrt(covariance[1, 1]))
    return Rate(float(rate), error, interval(float(rate), error, freedom), freedom)


def interval(value: float, error: float, freedom: float) -> tuple[float, float]:
    """Interval at `CONFIDENCE` of a least-squares estimate with standard error `error`, by Student's t distribution."""
    half = error * float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
    return value - half, value + half


def fit_law(name: str, cycle: Array, growth: Array) -> Law:
    """The law `name` fitted to `growth` (cycle,) at the cycles `cycle` (cycle,)."""
    return _FITS[name](cycle, growth)


def _geometric_first(growth: Array) -> LawFit:
    """The fit of the geometric law, with which all others are compared; raises as `fit_laws`."""
    fit = _cross_validated("geometric", growth)
    if fit.law.rates[0] <= _SLOWEST:
        raise DistillError(
            "the long-term curve does not saturate within the traces, so that no law fits it; "
            "simulate more cycles or a shorter long_term_time_constant"
        )
    return fit


def _other_fits(growth: Array) -> tuple[LawFit, ...]:
    # The largest stretch that is left out; the cycles that remain must be as many as the parameters.
    left_out = -(-len(growth) // min(len(growth), FOLDS))
    rivals = [name for name, count in _PARAMETERS.items() if len(growth) - left_out >= count and name != "geometric"]
    return tuple(_cross_validated(name, growth) for name in rivals)


def _cross_validated(name: str, growth: Array) -> LawFit:
    groups = min(len(growth), FOLDS)
    cycle = np.arange(1.0, len(growth) + 1)
    law = fit_law(name, cycle, growth)
    without, squares = [], np.empty(len(growth))
    for group in range(groups):
        # Stretches of nearly equal length, in order.
        left_out = np.arange(len(growth)) * groups // len(growth) == group
        without.append(fit_law(name, cycle[~left_out], growth[~left_out]))
        squares[left_out] = (without[-1].values(cycle[left_out]) - growth[left_out]) ** 2
    end = growth[-1]
    return LawFit(
        law,
        residual=float(np.abs(law.values(cycle) - growth).max() / end),
        prediction_error=float(np.sqrt(squares.mean()) / end),
        without=tuple(without),
    )


def _fit_geometric(cycle: Array, growth: Array) -> Law:
    saturation, log_rate = _geometric_parameters(cycle, growth)
    return Law("geometric", float(saturation), (1.0,), (float(np.exp(log_rate)),))


def _geometric_parameters(cycle: Array, growth: Array) -> Array:
    """S and log(a), (2,); growth that does not saturate gives the slowest rate, a nearly straight line."""
    # Start from the best rate on a grid, where the amplitude has a closed form: the search finds only a near minimum.
    basis = -np.expm1(-_RATES[:, None] * cycle)
    amplitude = basis @ growth / (basis**2).sum(axis=1)
    best = int(np.argmin(((amplitude[:, None] * basis - growth) ** 2).sum(axis=1)))
    start = [amplitude[best], np.log(_RATES[best])]
    found = _least_squares(lambda p: p[0] * -np.expm1(-np.exp(p[1]) * cycle) - growth, start)
    if found is None or found[1] <= np.log(_SLOWEST):
        return np.array([amplitude[0], np.log(_SLOWEST)])
    return np.array([found[0], min(found[1], np.log(_FASTEST))])


def _fit_stretched(cycle: Array, growth: Array) -> Law:
    geometric = _fit_geometric(cycle, growth)
    rates, stretches = (axis.ravel()[:, None] for axis in np.meshgrid(_RATES[::3], _STRETCHES))
    basis = -np.expm1(-((rates * cycle) ** stretches))
    amplitude = basis @ growth / (basis**2).sum(axis=1)
    best = int(np.argmin(((amplitude[:, None] * basis - growth) ** 2).sum(axis=1)))
    # Logarithms keep all three parameters positive during the search.
    start = [np.log(amplitude[best]), np.log(rates[best, 0]), np.log(stretches[best, 0])]
    found = _least_squares(
        lambda p: np.exp(p[0]) * -np.expm1(-((np.exp(p[1]) * cycle) ** np.exp(p[2]))) - growth, start
    )
    # Increments of a law with b > 1 would first grow; the allowed limit b = 1 is the geometric law.
    if found is None or found[2] >= 0 or not _allowed(found[1]):
        return Law("stretched", geometric.saturation, geometric.shares, geometric.rates)
    saturation, rate, stretch = np.exp(found)
    return Law("stretched", float(saturation), (1.0,), (float(rate),), float(stretch))


def _fit_two_rates(cycle: Array, growth: Array) -> Law:
    geometric = _fit_geometric(cycle, growth)
    start = _two_rates_guess(cycle, growth)
    found = None
    if start is not None:
        found = _least_squares(
            lambda p: np.exp(p[:2]) @ -np.expm1(-np.exp(p[2:, None]) * cycle) - growth, list(np.log(start))
        )
    # A rate at the end of the grid means that one component is not determined: the geometric law then serves.
    if found is None or not _allowed(found[2:]):
        return Law("two_rates", geometric.saturation, geometric.shares, geometric.rates)
    amplitudes, rates = np.exp(found[:2]), np.exp(found[2:])
    shares = amplitudes / amplitudes.sum()
    return Law("two_rates", float(amplitudes.sum()), tuple(map(float, shares)), tuple(map(float, rates)))


def _allowed(log_rate: Array) -> bool:
    return bool(np.all((log_rate > np.log(_SLOWEST)) & (log_rate < np.log(_FASTEST))))


def _two_rates_guess(cycle: Array, growth: Array) -> tuple[float, ...] | None:
    """Two amplitudes, then two rates: the best pair on a grid with positive amplitudes; None if no pair has them."""
    rates = _RATES[::2]
    basis = -np.expm1(-rates[:, None] * cycle)
    # Least squares of all pairs together: the normal equations of two amplitudes, solved by Cramer's rule.
    gram, right = basis @ basis.T, basis @ growth
    first, second = np.triu_indices(len(rates), 1)
    square, other, mixed = gram[first, first], gram[second, second], gram[first, second]
    determinant = square * other - mixed**2
    with np.errstate(divide="ignore", invalid="ignore"):
        one = (other * right[first] - mixed * right[second]) / determinant
        two = (square * right[second] - mixed * right[first]) / determinant
        # The reduction of the sum of squares by each pair; pairs with a negative amplitude are excluded.
        gain = np.where((one > 0) & (two > 0), one * right[first] + two * right[second], -np.inf)
    # Equal or indistinguishable rates have a determinant of 0 and give NaN.
    best = int(np.nanargmax(gain))
    if not np.isfinite(gain[best]):
        return None
    return float(one[best]), float(two[best]), float(rates[first[best]]), float(rates[second[best]])


_FITS: Mapping[str, Callable[[Array, Array], Law]] = {
    "geometric": _fit_geometric,
    "stretched": _fit_stretched,
    "two_rates": _fit_two_rates,
}


def _least_squares(residual: Callable[[Array], Array], start: list[float]) -> Array | None:
    """Parameters by the method of Levenberg and Marquardt; None if they are not finite."""
    # Not least_squares(method="lm"): its own differences change the last bits of the tables, and its checks make a
    # whole fit three times as slow, measured on curves of 8 cycles. A sweep makes about ten fits per point.
    with np.errstate(all="ignore"):
        found, *_ = leastsq(residual, np.array(start), full_output=True, ftol=1e-14, xtol=1e-12)
    return found if np.isfinite(found).all() else None
