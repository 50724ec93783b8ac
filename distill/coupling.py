"""Spatial coupling: how the influence between astrocytic processes falls with distance.

The decay of attention's relative position matrix, r_ij = exp(-scale |pos_i - pos_j|) (a reader of the RMAAT paper), is
taken from the *measured* influence: the response of the short-term process at one synapse to a small perturbation at
another. It is wider than the coupling put in, as influence also travels over third synapses.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, curve_fit

from distill.errors import DistillError


@dataclass(frozen=True)
class ExponentialKernel:
    """amplitude * exp(-scale * distance), fitted to pairs of synapses by least squares."""

    amplitude: float
    scale: float
    """per synapse spacing"""
    scale_error: float
    """standard error of `scale`"""
    residual: float
    """root mean square of the residuals, as a share of the largest strength"""
    distance: NDArray[np.float64]
    """(distance,): the distinct distances"""
    strength: NDArray[np.float64]
    """(distance,): mean strength at each"""


def fit_kernel(distance: NDArray[np.float64], strength: NDArray[np.float64]) -> ExponentialKernel:
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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", OptimizeWarning)
            (amplitude, scale), covariance = curve_fit(_exponential, distance, strength, p0=_guess(distance, strength))
    except (RuntimeError, OptimizeWarning) as error:
        raise DistillError(
            "no exponential fits the strengths between synapses; simulate with a coupling_scale nearer to 1"
        ) from error
    residual = strength - _exponential(distance, amplitude, scale)
    return ExponentialKernel(
        amplitude=float(amplitude),
        scale=float(scale),
        scale_error=float(np.sqrt(covariance[1, 1])),
        residual=float(np.sqrt(np.mean(residual**2)) / strength.max()),
        distance=distinct,
        strength=np.bincount(group, strength) / np.bincount(group),
    )


def _guess(distance: NDArray, strength: NDArray) -> tuple[float, float]:
    """Amplitude and scale by a line through log(strength), strong pairs first: already exact without noise."""
    positive = strength > 0
    weight, x = strength[positive], distance[positive]
    design = np.stack([np.ones_like(x), -x], axis=1)
    (constant, scale), *_ = np.linalg.lstsq(weight[:, None] * design, weight * np.log(weight), rcond=None)
    return np.exp(constant), scale


def _exponential(distance: NDArray, amplitude: float, scale: float) -> NDArray:
    return amplitude * np.exp(-scale * distance)
