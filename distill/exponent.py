"""The presynaptic exponent alpha: response ~ activity^alpha.

The parent paper (AT, arXiv 2312.10925) fits a power law to the astrocyte's calcium response to cumulative presynaptic
activity and finds alpha = 0.25. Here the response is the mean short-term process during the first stimulus, and the
activity is the integral of phi(x_pre) dt. A saturating response is a power law only piecewise: its local exponent falls
from 1 towards 0. The exponent is thus no constant of the model: it depends on the range of the fit and on the length of
the stimulus. The result states the range, and the exponents of its first and last quarter. Its residuals are not noise
but a smooth misfit, so that the interval allows for correlated residuals (`distill.correlated`).
"""

from dataclasses import dataclass

import numpy as np

from distill.correlated import slope_error
from distill.errors import DistillError
from distill.law_fit import interval
from rmaat.base.arrays import Array


@dataclass(frozen=True)
class PowerLaw:
    """The fit log(response) = exponent * log(activity) + constant over `activity_range`."""

    exponent: float
    exponent_error: float
    """standard error for correlated residuals"""
    exponent_interval: tuple[float, float]
    """95 % interval for correlated residuals"""
    correlation: float
    """correlation of neighbouring residuals that error and interval allow for"""
    local_exponents: tuple[float, float]
    """fitted over the first and over the last quarter of the times in the range"""
    activity_range: tuple[float, float]
    """activity at both ends of the fit, in seconds of full presynaptic activity"""
    residual: float
    """root mean square of the residuals of log(response)"""


def fit_power_law(time: Array, activity: Array, response: Array, start: float) -> PowerLaw:
    """Fit the exponent over the times at which the response is at least the share `start` of its peak.

    Parameters
    ----------
    time
        Stored times during one stimulus, (time,), s.
    activity
        Mean presynaptic activity phi(x_pre), (time,), dimensionless.
    response
        Mean short-term process, (time,), dimensionless.
    start
        Share of the peak response, 0 to 1.

    Raises
    ------
    DistillError
        The range has fewer than four stored times, or the exponent is not above 0 and at most 1, as attention needs.
    """
    # The trapezoid rule, from 0 at the first stored time.
    cumulative = np.concatenate([[0.0], np.cumsum(np.diff(time) * (activity[1:] + activity[:-1]) / 2)])
    # Logarithms need values above 0, and the integral is 0 at the first stored time.
    chosen = (response >= start * response.max(initial=0)) & (cumulative > 0) & (response > 0)
    if chosen.sum() < 4:
        raise DistillError(
            f"only {chosen.sum()} stored times lie above {start:g} of the peak response; "
            "store the traces more often, or give presynaptic neurons a positive drive"
        )
    x, y = np.log(cumulative[chosen]), np.log(response[chosen])
    # log(response) = alpha log(activity) + constant, by least squares.
    exponent, constant = np.polyfit(x, y, 1)
    if not 0 < exponent <= 1:
        raise DistillError(
            f"the response grows with activity to the power {exponent:.3g}, which must lie above 0 and at most at 1; "
            f"fit it from a later share of the peak than {start:g} (--exponent-range-start), "
            "simulate a longer stimulus, or give a number (--exponent 0.25 is the parent paper's)"
        )
    residual = y - exponent * x - constant
    # The local exponents need two points each at least, to have a slope.
    found, quarter = slope_error(x, residual), max(len(x) // 4, 2)
    return PowerLaw(
        exponent=float(exponent),
        exponent_error=found.error,
        exponent_interval=interval(float(exponent), found.error, found.freedom),
        correlation=found.correlation,
        local_exponents=(_slope(x[:quarter], y[:quarter]), _slope(x[-quarter:], y[-quarter:])),
        activity_range=(float(cumulative[chosen][0]), float(cumulative[chosen][-1])),
        residual=float(np.sqrt(np.mean(residual**2))),
    )


def _slope(x: Array, y: Array) -> float:
    return float(np.polyfit(x, y, 1)[0])
