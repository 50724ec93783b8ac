"""Sobol indices of a sweep: the share of each quantity's variance that comes from each parameter.

The first-order index is the share from a parameter alone, the total index that share with all its interactions. Rank
correlations see only what rises or falls with a parameter; these indices see any effect.

They need n (d + 2) evaluations at points of their own design (Saltelli et al. 2010, doi:10.1016/j.cpc.2009.09.018),
which no sweep has. A surrogate is evaluated there in place of the simulation: cubic radial basis functions through the
points of the sweep. R^2 at points left out of its fit says how good it is, and a poor one gives no indices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.interpolate import RBFInterpolator
from scipy.stats import rankdata, sobol_indices, uniform

from distill.inverse.sweep_file import summary, varied, varies
from rmaat.base.arrays import Array

FEWEST_POINTS = 10
"""Points of the sweep per parameter from which on a surrogate is fitted."""
MOST_POINTS = 1500
"""Points that the surrogate goes through at most, because its cost grows with their cube."""
LEAST_R_SQUARED = 0.9
"""R^2 at points left out, below which no indices are given."""
SAMPLES = 1024
"""n of the design; sobol_indices wants a power of 2."""
FOLDS = 5


@dataclass(frozen=True)
class Indices:
    """The indices of one quantity, by parameter."""

    first: Mapping[str, float]
    """share of the variance from the parameter alone"""
    total: Mapping[str, float]
    """the same with all interactions"""
    r_squared: float
    """of the surrogate, at points left out of its fit"""


def variance_shares(dataset: xr.Dataset, seed: int = 0) -> dict[str, Indices]:
    """Sobol indices of each quantity of `distill.inverse.sweep_file.summary`, over the numbers that the sweep varied.

    Parameters count as independent and evenly spread over the sweep's points, as in `rmaat distill sweep --random`.
    Quantities with too few points, without variance, or with a surrogate below `LEAST_R_SQUARED` are left out.
    """
    names = [name for name in varied(dataset) if dataset[name].dtype.kind in "fi"]
    names = [name for name in names if len(np.unique(dataset[name].values)) > 1]
    found: dict[str, Indices] = {}
    for label, values in summary(dataset).items():
        sound = np.flatnonzero(np.isfinite(values))[:MOST_POINTS]
        if not names or len(sound) < FEWEST_POINTS * len(names) or not varies(values[sound]):
            continue
        # Ranks make each parameter uniform on 0 to 1, whether its values are even in the number or its logarithm.
        places = np.stack([(rankdata(dataset[name].values[sound]) - 0.5) / len(sound) for name in names], axis=1)
        indices = _indices(names, places, values[sound], seed)
        if indices.r_squared >= LEAST_R_SQUARED:
            found[label] = indices
    return found


def _indices(names: list[str], places: Array, values: Array, seed: int) -> Indices:
    """Indices of `values` (point,) over parameters at `places` (point, parameter) in 0 to 1."""
    scaled = (values - values.mean()) / values.std()
    if len(names) == 1:
        # All variance comes from the only parameter; sobol_indices of SciPy 1.17 raises a TypeError for one.
        return Indices({names[0]: 1.0}, {names[0]: 1.0}, _r_squared(places, scaled, seed))
    surrogate = _surrogate(places, scaled)
    # SciPy passes (parameter, sample) and takes (output, sample).
    result: Any = sobol_indices(
        func=lambda sample: surrogate(sample.T)[None, :], n=SAMPLES, dists=[uniform()] * len(names), rng=seed
    )
    first, total = (
        dict(zip(names, np.ravel(each).tolist(), strict=True)) for each in (result.first_order, result.total_order)
    )
    return Indices(first, total, _r_squared(places, scaled, seed))


def _surrogate(places: Array, values: Array) -> RBFInterpolator:
    return RBFInterpolator(places, values, kernel="cubic", degree=1)


def _r_squared(places: Array, values: Array, seed: int) -> float:
    """The share of the variance that the surrogate explains at points left out, a fifth of them at a time."""
    fold = np.random.default_rng(seed).permutation(len(values)) % FOLDS
    errors = np.empty(len(values))
    for number in range(FOLDS):
        out = fold == number
        errors[out] = _surrogate(places[~out], values[~out])(places[out]) - values[out]
    return float(1 - errors.var() / values.var())
