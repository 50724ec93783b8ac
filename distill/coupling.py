"""Spatial coupling: the decay of the influence between astrocytic processes with distance.

Attention has the relative position matrix r_ij = exp(-scale |pos_i - pos_j|) (the RMAAT paper as we read it). Its scale
comes from the *measured* influence: the response of the short-term process at one synapse to a small perturbation at
another. The influence is wider than the coupling put in, because it also travels over third synapses.

Akaike's criterion compares the exponential with a Gaussian, exp(-(scale d)^2), and a power law, d^-scale. An F test
checks whether strength also depends on the direction of a pair. Pairs that share a synapse are not independent, so
intervals and p-values hold for the fit and not for a new network. Comparison and test are ours.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import fdtrc

from distill.errors import DistillError
from distill.law_fit import interval
from rmaat.base.arrays import Array

_ROUNDING = 1e-12
"""Size, as a share of the largest strength, that is added to residuals.

The logarithm of the residuals of an exact fit would otherwise differ between machines."""


@dataclass(frozen=True)
class Candidate:
    """strength = amplitude * shape(scale, distance), fitted by least squares to pairs at a distance above 0."""

    name: str
    scale: float
    residual: float
    """root mean square of the residuals, as a share of the largest strength"""
    criterion: float
    """Akaike's criterion for normal residuals; less is better, and only differences have a meaning"""


@dataclass(frozen=True)
class Anisotropy:
    """Whether strength depends on direction: strength = amplitude exp(-scale d (1 + c cos 2(direction - axis)))."""

    size: float
    """c; 0 if all directions are alike"""
    axis: float
    """the direction of the fastest decay, in degrees from the x axis, -90 to 90"""
    p_value: float
    """p-value of the F test without anisotropy; 1 if the test is impossible"""
    directions: int
    """number of different directions of pairs; the test needs three"""


@dataclass(frozen=True, eq=False)
class ExponentialKernel:
    """amplitude * exp(-scale * distance), fitted to pairs of synapses by least squares."""

    amplitude: float
    scale: float
    """per synapse spacing"""
    scale_error: float
    """standard error of `scale`"""
    scale_interval: tuple[float, float]
    """interval of `scale` at `distill.law_fit.CONFIDENCE`"""
    residual: float
    """root mean square of the residuals, as a share of the largest strength"""
    distance: Array
    """(distance,): the distinct distances, in synapse spacings"""
    strength: Array
    """(distance,): mean strength at each"""


def fit_kernel(distance: Array, strength: Array) -> ExponentialKernel:
    """Fit the exponential to the strengths between different synapses.

    Parameters
    ----------
    distance
        Distance of the two synapses of each pair, (pair,), in synapse spacings.
    strength
        Strength at one synapse due to the other, (pair,), dimensionless.

    Raises
    ------
    DistillError
        There are fewer than three distinct distances, no strength is above 0, or no exponential fits.
    """
    # Rounding of coordinates must not split one distance into several.
    distance = distance.round(9)
    distinct, group = np.unique(distance, return_inverse=True)
    if len(distinct) < 3:
        raise DistillError(
            f"the synapses have {len(distinct)} distinct distances and a decay needs at least 3; "
            "simulate another layout or more neurons"
        )
    if strength.max() <= 0:
        raise DistillError("no synapse influences another; simulate with a coupling strength above 0")
    found = _fit(_exponential, distance, strength, _guess(distance, strength))
    if found is None:
        raise DistillError(
            "no exponential fits the strengths between synapses; simulate with a coupling_scale nearer to 1"
        )
    (amplitude, scale), covariance = found
    error = float(np.sqrt(covariance[1, 1]))
    residual = strength - _exponential(distance, amplitude, scale)
    return ExponentialKernel(
        amplitude=float(amplitude),
        scale=float(scale),
        scale_error=error,
        scale_interval=interval(float(scale), error, len(distance) - 2),
        residual=float(np.sqrt(np.mean(residual**2)) / strength.max()),
        distance=distinct,
        strength=np.bincount(group, strength) / np.bincount(group),
    )


def compare_kernels(distance: Array, strength: Array) -> tuple[Candidate, ...]:
    """Fits of all `KERNELS` to the pairs at a distance above 0; arguments, (pair,) each, as in `fit_kernel`."""
    distance = distance.round(9)
    apart = distance > 0
    return tuple(_candidate(name, distance[apart], strength[apart]) for name in KERNELS)


def measure_anisotropy(offset: Array, distance: Array, strength: Array) -> Anisotropy:
    """Whether strength depends on the direction of a pair.

    Parameters
    ----------
    offset
        Step between the synapses of each pair, (pair, 2), in synapse spacings; its sign has no effect.
    distance, strength
        As in `fit_kernel`, (pair,).
    """
    apart = distance > 0
    # Opposite directions are one axis, so angles are taken modulo pi.
    angle = np.arctan2(offset[apart, 1], offset[apart, 0]) % np.pi
    distance, strength = distance[apart], strength[apart]
    directions = len(np.unique(angle.round(6) % round(np.pi, 6)))
    freedom = len(distance) - 4
    start = _fit(_exponential, distance, strength, _guess(distance, strength))
    if directions < 3 or freedom < 1 or start is None:
        return Anisotropy(0.0, 0.0, 1.0, directions)
    (amplitude, scale), _ = start
    double = np.stack([np.cos(2 * angle), np.sin(2 * angle)])

    def directed(distance: Array, amplitude: float, scale: float, along: float, across: float) -> Array:
        return _exponential(distance, amplitude, scale * (1 + along * double[0] + across * double[1]))

    found = _fit(directed, distance, strength, (amplitude, scale, 0.0, 0.0))
    if found is None:
        return Anisotropy(0.0, 0.0, 1.0, directions)
    values, _ = found
    without = _sum_of_squares(strength - _exponential(distance, amplitude, scale), strength)
    left = _sum_of_squares(strength - directed(distance, *values), strength)
    # Two parameters are added; rounding may make the larger model worse by the last bit.
    improvement = max(without - left, 0.0) / 2 / (left / freedom)
    return Anisotropy(
        size=float(np.hypot(*values[2:])),
        # The double angle of the fit is halved.
        axis=float(np.degrees(np.arctan2(values[3], values[2])) / 2),
        p_value=float(fdtrc(2, freedom, improvement)),
        directions=directions,
    )


def _candidate(name: str, distance: Array, strength: Array) -> Candidate:
    kernel = KERNELS[name]
    # A guess that cannot be improved is kept: a candidate that does not fit has a large criterion, not an error.
    guess = _guess(kernel.straightened(distance), strength)
    found = _fit(kernel.strength, distance, strength, (guess[0], kernel.scale(guess[1])))
    amplitude, scale = (guess[0], kernel.scale(guess[1])) if found is None else found[0]
    squares = _sum_of_squares(strength - kernel.strength(distance, amplitude, scale), strength)
    count = len(distance)
    return Candidate(
        name,
        float(scale),
        residual=float(np.sqrt(squares / count) / strength.max()),
        # n log(mean square) + 2 k with k = 2 parameters.
        criterion=float(count * np.log(squares / count / strength.max() ** 2) + 2 * 2),
    )


def _sum_of_squares(residual: Array, strength: Array) -> float:
    """Sum of squares of `residual` (pair,) plus that of rounding."""
    return float(residual @ residual + len(residual) * (_ROUNDING * strength.max()) ** 2)


def _fit(
    function: Callable[..., Array], distance: Array, strength: Array, guess: tuple[float, ...]
) -> tuple[Array, Array] | None:
    """Parameters (parameter,) and their covariance by least squares; None if they are not determined."""
    # Not least_squares: it returns no covariance, and its Jacobian at the optimum would change the stored errors.
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # SciPy warns where the covariance cannot be estimated; its values would be infinite.
            warnings.simplefilter("error", OptimizeWarning)
            return curve_fit(function, distance, strength, p0=guess)
    except (RuntimeError, OptimizeWarning):
        return None


def _guess(distance: Array, strength: Array) -> tuple[float, float]:
    """Amplitude and scale from a line through log(strength), weighted by strength: exact without noise."""
    positive = strength > 0
    # The error of log(strength) is that of strength divided by strength.
    weight, x = strength[positive], distance[positive]
    design = np.stack([np.ones_like(x), -x], axis=1)
    (constant, scale), *_ = np.linalg.lstsq(weight[:, None] * design, weight * np.log(weight), rcond=None)
    return float(np.exp(constant)), float(scale)


def _exponential(distance: Array, amplitude: float, scale: float | Array) -> Array:
    return amplitude * np.exp(-scale * distance)


def _gaussian(distance: Array, amplitude: float, scale: float) -> Array:
    return amplitude * np.exp(-((scale * distance) ** 2))


def _power(distance: Array, amplitude: float, scale: float) -> Array:
    return amplitude * distance**-scale


@dataclass(frozen=True)
class _Kernel:
    strength: Callable[[Array, float, float], Array]
    straightened: Callable[[Array], Array]
    """the function of distance in which log(strength) is a straight line"""
    scale: Callable[[float], float]
    """the scale from minus the slope of that line"""


KERNELS: Mapping[str, _Kernel] = {
    "exponential": _Kernel(_exponential, lambda distance: distance, lambda slope: slope),
    "gaussian": _Kernel(_gaussian, np.square, lambda slope: float(np.sqrt(max(slope, 0.0)))),
    "power_law": _Kernel(_power, np.log, lambda slope: slope),
}
"""The candidates for the decay with distance, by name."""
