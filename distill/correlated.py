"""The error of a fitted slope whose residuals are correlated with their neighbours.

Least squares counts every residual as a new observation. Residuals of a smooth curve follow each other, so the usual
interval is too short. Here the residuals are a process in which each one keeps the share c of the one before: the
covariance of two that are k apart is s^2 c^k, AR(1). Fitted residuals show less correlation than the process has,
because the line takes a part of it. c is therefore the value at which the *expected* correlation of fitted residuals
equals the one found. The covariance then gives the error of the slope and, after Satterthwaite, its degrees of freedom.
The method is ours, from standard parts.
"""

from dataclasses import dataclass

import numpy as np

from rmaat.base.arrays import Array

_LARGEST = 0.999
"""Largest correlation of neighbours; at 1 the line and the process cannot be told apart."""
_HALVINGS = 30
_MOST = 128
"""Most residuals that are used; of more, every second, third, ... is, because the cost grows with the third power."""


@dataclass(frozen=True)
class SlopeError:
    """The error of a slope under correlated residuals."""

    error: float
    """standard error"""
    freedom: float
    """degrees of freedom of Student's t; at least 1"""
    correlation: float
    """c, the correlation of neighbouring residuals that are used, 0 to 0.999"""


def slope_error(x: Array, residual: Array) -> SlopeError:
    """The error of the slope of a line fitted by least squares.

    Parameters
    ----------
    x
        Abscissae in the order of the observations, (observation,).
    residual
        Residuals of the line, (observation,).
    """
    # Every k-th value of such a process is one as well, with c^k.
    step = -(-len(x) // _MOST)
    x, residual = x[::step], residual[::step]
    count = len(x)
    design = np.stack([np.ones(count), x - x.mean()], axis=1)
    # The matrix that takes observations to the residuals of a line.
    annihilator = np.eye(count) - design @ np.linalg.pinv(design)
    correlation = _correlation(annihilator, residual)
    process = _process(count, correlation)
    left = annihilator @ process
    variance = residual @ residual / np.trace(left)
    weight = design[:, 1] / (design[:, 1] @ design[:, 1])
    freedom = np.trace(left) ** 2 / np.trace(left @ left)
    return SlopeError(float(np.sqrt(variance * (weight @ process @ weight))), max(float(freedom), 1.0), correlation)


def _correlation(annihilator: Array, residual: Array) -> float:
    """The c at which fitted residuals have the expected correlation of neighbours that `residual` has, or more."""
    squares = residual @ residual
    found = float(residual[1:] @ residual[:-1] / squares) if squares > 0 else 0.0
    # One standard error more (Bartlett): the correlation of a few residuals is uncertain, and too low a value makes
    # the interval too short, which covers 80 % instead of 95 % of 60 residuals at c = 0.95.
    found += float(np.sqrt(max(1 - found**2, 0.0) / len(residual)))
    low, high = 0.0, _LARGEST
    if found <= _expected(annihilator, low):
        return low
    if found >= _expected(annihilator, high):
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _expected(annihilator, middle) < found else (low, middle)
    return low


def _expected(annihilator: Array, correlation: float) -> float:
    covariance = annihilator @ _process(len(annihilator), correlation) @ annihilator
    return float(np.trace(covariance, offset=1) / np.trace(covariance))


def _process(count: int, correlation: float) -> Array:
    place = np.arange(count)
    return correlation ** np.abs(place[:, None] - place)
