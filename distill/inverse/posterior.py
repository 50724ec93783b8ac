"""What data leave open about fitted parameters: Laplace's posterior, and the profile of one parameter.

Laplace's approximation takes the posterior of a fit, with flat priors on the coordinates, as the normal distribution
that the exact derivatives at the optimum give. The profile shows where that fails: it fixes one parameter at several
values and fits the others anew.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from astro_sim.engines.tangents import smooth_parameters
from astro_sim.parameter_set import SimulationParameters
from distill.inverse.data import Data
from distill.inverse.fit import Fit, fit
from distill.inverse.problem import Problem
from rmaat.base.arrays import Array
from rmaat.base.errors import UsageError
from rmaat.base.progress import Progress, ignore_progress, part_of
from rmaat.base.records import unknown_name


def laplace_draws(found: Fit, draws: int, seed: int = 0) -> Array:
    """Parameters drawn from Laplace's posterior of a fit, (draw, parameter), within their bounds.

    Parameters that cannot be negative are drawn in their logarithm. Along directions that the data do not determine
    all draws have the estimate, because there the posterior is only as wide as the bounds.

    Raises
    ------
    UsageError
        The variance is unknown: without errors of the data, there must be more rows than determined directions.
    """
    if np.isnan(found.covariance).any():
        raise UsageError(f"{found.data.origin} leaves the variance unknown; give errors, or vary fewer parameters")
    known = smooth_parameters(found.parameters)
    values = np.array(list(found.estimates.values()))
    quantities = [known[name][1] for name in found.estimates]
    logarithmic = np.array([own.low >= 0 and value > 0 for own, value in zip(quantities, values, strict=True)])
    units = np.where(logarithmic, values, 1.0)
    covariance = found.covariance / np.outer(units, units)
    drawn = np.random.default_rng(seed).multivariate_normal(np.zeros(values.size), covariance, draws, method="eigh")
    moved = np.where(logarithmic, values * np.exp(np.where(logarithmic, drawn, 0.0)), values + drawn)
    return np.clip(moved, [own.low for own in quantities], [own.high for own in quantities])


@dataclass(frozen=True, eq=False)
class Profile:
    """The best fit at each value of one parameter.

    Attributes
    ----------
    name : str
        The parameter that is fixed.
    values, misfits : (value,)
        Its values, and the root mean square residual of the best fit there, in standard errors if the data have them.
    others : tuple of mappings
        The estimates of the other parameters at each value.
    """

    name: str
    values: Array
    misfits: Array
    others: tuple[dict[str, float], ...]


def profile(found: Fit, name: str, values: Sequence[float], progress: Progress = ignore_progress) -> Profile:
    """Fix the parameter `name` of a fit at each of `values`, and fit the others of its parameters anew.

    Raises
    ------
    UsageError
        The fit did not vary `name`.
    SimulationError
        A value cannot be simulated, or has no best fit.
    """
    if name not in found.estimates:
        raise UsageError(unknown_name("parameter of the fit", name, found.estimates))
    others = [other for other in found.estimates if other != name]
    residuals, estimates = [], []
    for count, value in enumerate(values):
        fixed = found.parameters.override({name: value})
        left, best = _refitted(found.data, fixed, others, part_of(progress, count, len(values)))
        residuals.append(left)
        estimates.append(best)
    weights = 1.0 if found.data.errors is None else 1 / found.data.errors
    misfits = np.sqrt(np.mean((np.stack(residuals) * weights) ** 2, axis=1))
    return Profile(name, np.array(values, dtype=float), misfits, tuple(estimates))


def _refitted(
    data: Data, parameters: SimulationParameters, others: list[str], progress: Progress
) -> tuple[Array, dict[str, float]]:
    """The residuals (row,) of the best fit of the `others`, and their estimates."""
    if not others:
        # A problem needs a parameter; it is not varied here.
        problem = Problem(data, parameters, [next(iter(smooth_parameters(parameters)))], progress)
        return data.values - problem.simulate(problem.start)[0], {}
    with warnings.catch_warnings():
        # The fit itself has said what the data leave open.
        warnings.simplefilter("ignore")
        again = fit(data, parameters, others, progress)
    return again.residuals, dict(again.estimates)
