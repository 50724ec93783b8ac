"""Spatial coupling: how the influence between astrocytic processes falls with distance.

The decay of attention's relative position matrix, r_ij = exp(-scale |pos_i - pos_j|) (a reader of the RMAAT paper), is
taken from the *measured* influence: the response of the short-term process at one synapse to a small perturbation at
another. It is wider than the coupling put in, as influence also travels over third synapses.

The exponential is compared with a Gaussian, exp(-(scale d)^2), and a power law, d^-scale, by Akaike's criterion, and
whether strength depends on the direction of a pair beside its distance is tested. Pairs that share a synapse are not
independent, so that intervals and p-values are those of the fit, not of a new network.
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
"""Share of the largest strength; residuals of an exact fit count as this large, so that their logarithm is the same on
any machine."""


@dataclass(frozen=True)
class Candidate:
    """strength = amplitude * shape(scale, distance), fitted by least squares to pairs at a distance above 0."""

    name: str
    scale: float
    residual: float
    """root mean square of the residuals, as a share of the largest strength"""
    criterion: float
    """Akaike's, of normal residuals; only differences between candidates have a meaning, less is better"""


@dataclass(frozen=True)
class Anisotropy:
    """Whether strength depends on direction: strength = amplitude exp(-scale d (1 + c cos 2(direction - axis)))."""

    size: float
    """c, 0 where all directions are alike"""
    axis: float
    """the direction of the fastest decay, in degrees from the x axis, -90 to 90"""
    p_value: float
    """probability of so large an improvement of the fit without anisotropy, by an F test; 1 where it cannot be told"""
    directions: int
    """how many different directions pairs have; a test needs three"""


@dataclass(frozen=True, eq=False)
class ExponentialKernel:
    """amplitude * exp(-scale * distance), fitted to pairs of synapses by least squares."""

    amplitude: float
    scale: float
    """per synapse spacing"""
    scale_error: float
    """standard error of `scale`"""
    scale_interval: tuple[float, float]
    """of `scale`, at `distill.law_fit.CONFIDENCE`"""
    residual: float
    """root mean square of the residuals, as a share of the largest strength"""
    distance: Array
    """(distance,): the distinct distances"""
    strength: Array
    """(distance,): mean strength at each"""


def fit_kernel(distance: Array, strength: Array) -> ExponentialKernel:
    """Fit the exponential to the strengths between different synapses.

    Parameters
    ----------
    distance
        Distance of the two synapses of each pair, (pair,).
    strength
        Strength at the one due to the other, (pair,).

    Raises
    ------
    DistillError
        Fewer than three distinct distances, from which no decay can be told, no strength at all, or none that falls
        like an exponential.
    """
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
    """The exponential and its rivals over the pairs (pair,) at a distance above 0; arguments as `fit_kernel`."""
    distance = distance.round(9)
    apart = distance > 0
    return tuple(_candidate(name, distance[apart], strength[apart]) for name in KERNELS)


def measure_anisotropy(offset: Array, distance: Array, strength: Array) -> Anisotropy:
    """Whether strength depends on the direction of a pair.

    Parameters
    ----------
    offset
        Step from the one synapse to the other of each pair, (pair, 2); its sign is of no account.
    distance, strength
        As `fit_kernel`, (pair,).
    """
    apart = distance > 0
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
    improvement = max(without - left, 0.0) / 2 / (left / freedom)
    return Anisotropy(
        size=float(np.hypot(*values[2:])),
        axis=float(np.degrees(np.arctan2(values[3], values[2])) / 2),
        p_value=float(fdtrc(2, freedom, improvement)),
        directions=directions,
    )


def _candidate(name: str, distance: Array, strength: Array) -> Candidate:
    kernel = KERNELS[name]
    guess = _guess(kernel.straightened(distance), strength)
    found = _fit(kernel.strength, distance, strength, (guess[0], kernel.scale(guess[1])))
    amplitude, scale = (guess[0], kernel.scale(guess[1])) if found is None else found[0]
    squares = _sum_of_squares(strength - kernel.strength(distance, amplitude, scale), strength)
    count = len(distance)
    return Candidate(
        name,
        float(scale),
        residual=float(np.sqrt(squares / count) / strength.max()),
        criterion=float(count * np.log(squares / count / strength.max() ** 2) + 2 * 2),
    )


def _sum_of_squares(residual: Array, strength: Array) -> float:
    """Of the residuals, and that of rounding."""
    return float(residual @ residual + len(residual) * (_ROUNDING * strength.max()) ** 2)


def _fit(
    function: Callable[..., Array], distance: Array, strength: Array, guess: tuple[float, ...]
) -> tuple[Array, Array] | None:
    """Parameters and their covariance by least squares; None where they cannot be told."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", OptimizeWarning)
            return curve_fit(function, distance, strength, p0=guess)
    except (RuntimeError, OptimizeWarning):
        return None


def _guess(distance: Array, strength: Array) -> tuple[float, float]:
    """Amplitude and scale by a line through log(strength), strong pairs first: already exact without noise."""
    positive = strength > 0
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
    """of distance: that in which log(strength) is a straight line"""
    scale: Callable[[float], float]
    """from the slope of that line"""


KERNELS: Mapping[str, _Kernel] = {
    "exponential": _Kernel(_exponential, lambda distance: distance, lambda slope: slope),
    "gaussian": _Kernel(_gaussian, np.square, lambda slope: float(np.sqrt(max(slope, 0.0)))),
    "power_law": _Kernel(_power, np.log, lambda slope: slope),
}
"""The candidates for the decay with distance."""
