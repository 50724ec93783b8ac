"""Fit parameters of the rate model to data: a long-term curve, or retention factors that a model should have.

| columns | the rate model's side |
| --- | --- |
| `time` (s) or `cycle`, and `value` | long-term process, mean over synapses, at that time or at the cycle's end |
| `segment` and `retention` | RF(t, T) = Delta_t / sum_{i<=T} Delta_i of its increments, T the number of rows |

An optional column `error` holds standard errors, which weight the rows. The method is least squares: SciPy's trust
region within the parameters' bounds, with the exact derivatives of `astro_sim.engines.tangents`. Parameters that cannot
be negative vary in their logarithm. The method is ours.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import qr
from scipy.optimize import least_squares

from astro_sim.engines.tangents import smooth_parameters
from astro_sim.errors import SimulationError
from astro_sim.parameter_set import SimulationParameters
from distill.inverse.data import Data, read_data
from distill.inverse.problem import MOST_RUNS, SMALLEST_COMPONENT, Problem
from distill.inverse.published import is_one_number
from rmaat.base.arrays import Array
from rmaat.base.errors import UsageError
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.records import ParameterError, unknown_name

__all__ = ["Data", "Fit", "fit", "read_data"]

STEP_TOLERANCE = 1e-7
"""Relative step at which the search ends; smaller steps would only follow the rounding of the simulation's solver."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The best parameters and their uncertainty.

    Attributes
    ----------
    parameters : SimulationParameters
        The given parameters with the fitted values; `references` names the data as their source.
    estimates, errors : mapping of parameter names to numbers
        Fitted values and standard errors; an error is infinite if the data do not determine the parameter.
    covariance : (parameter, parameter)
        Covariance of the estimates; 0 along directions that the data do not determine.
    fitted, residuals : (row,)
        The rate model's values, and the data minus those.
    undetermined : tuple of mappings
        Directions along which parameters change together without changing the fit: a power for each parameter that
        varies in its logarithm, an amount for each other one.
    runs : int
        The number of simulations.
    """

    data: Data
    parameters: SimulationParameters
    estimates: Mapping[str, float]
    errors: Mapping[str, float]
    covariance: Array
    fitted: Array
    residuals: Array
    undetermined: tuple[Mapping[str, float], ...]
    runs: int


def fit(
    data: Data, parameters: SimulationParameters, names: Sequence[str], progress: Progress = ignore_progress
) -> Fit:
    """Vary the parameters `names`, from their values in `parameters`, until the rate model is closest to `data`.

    Raises
    ------
    UsageError
        There is no name, a name is repeated or its parameter does not vary smoothly, or rows are fewer than names.
    SimulationError
        The start cannot be simulated, or no optimum is found in `MOST_RUNS` simulations.

    Warns
    -----
    UserWarning
        The data do not determine all parameters (the sentence names the free directions), or one ends at a bound.
    """
    _check_names(data, parameters, names)
    problem = Problem(data, parameters, names, progress)
    # Simulate the start once to raise its own error; within the search a failure only shortens the step.
    problem.simulate(problem.start)
    # SciPy's stubs do not accept a function for the derivatives.
    jacobian: Any = problem.jacobian
    result = least_squares(
        problem.residuals,
        problem.start,
        jacobian,
        bounds=problem.bounds,
        xtol=STEP_TOLERANCE,
        ftol=1e-8,
        gtol=1e-12,
        max_nfev=MOST_RUNS,
    )
    if not result.success:
        raise SimulationError(
            f"no best fit was found in {MOST_RUNS} runs; vary fewer parameters, or start nearer to the data"
        )
    progress(1.0)
    # Along undetermined directions every place fits equally well; report that of the start.
    found = _assessed(problem, problem.with_free_at_start(result.x))
    _warn(found, [name for name, active in zip(names, result.active_mask, strict=True) if active])
    return found


def _assessed(problem: Problem, coordinates: Array) -> Fit:
    """The fit at the optimum `coordinates` (parameter,), with errors and undetermined directions."""
    data, values = problem.data, problem.values(coordinates)
    fitted, _ = problem.simulate(coordinates)
    directions, sizes, free = problem.directions(coordinates)
    variance = _variance(data, fitted, data.values.size - sizes.size)
    # The covariance is variance (J^T J)^-1, here from the singular values of the Jacobian J.
    inverse = directions / sizes[:, None]
    # From coordinates back to parameters: dp = p d(log p) where the coordinate is a logarithm.
    units = np.where(problem.logarithmic, values, 1.0)
    covariance = variance * (inverse.T @ inverse) * np.outer(units, units)
    undetermined = _simplest(free, problem.names)
    # A parameter in any free direction can take any value, so its error is infinite.
    unknown = {name for direction in undetermined for name in direction}
    errors = {
        name: math.inf if name in unknown else math.sqrt(own)
        for name, own in zip(problem.names, np.diag(covariance), strict=True)
    }
    best = problem.parameters(coordinates)
    best = best.changed({"references": dict.fromkeys(problem.names, f"fitted to {data.origin}")})
    estimates = dict(zip(problem.names, values.tolist(), strict=True))
    return Fit(data, best, estimates, errors, covariance, fitted, data.values - fitted, undetermined, problem.runs)


def _variance(data: Data, fitted: Array, freedom: int) -> float:
    """Variance of a weighted residual: 1 for known errors, otherwise estimated; NaN without degrees of freedom."""
    if data.errors is not None:
        return 1.0
    return float(np.sum((data.values - fitted) ** 2)) / freedom if freedom else math.nan


def _simplest(directions: Array, names: Sequence[str]) -> tuple[dict[str, float], ...]:
    """Directions that span the same space as `directions` (direction, parameter), as parameters and components by name.

    Each has few parameters, and its largest component is 1.
    """
    if not len(directions):
        return ()
    # Pivoting brings independent columns to the front; solving by them makes that block the identity.
    factors: Any = qr(directions, mode="economic", pivoting=True)
    _, triangle, order = factors
    count = len(directions)
    reduced = np.empty_like(directions)
    reduced[:, order] = np.linalg.solve(triangle[:, :count], triangle)
    reduced /= np.take_along_axis(reduced, np.abs(reduced).argmax(axis=1)[:, None], axis=1)
    return tuple(
        {name: float(part) for name, part in zip(names, direction, strict=True) if abs(part) > SMALLEST_COMPONENT}
        for direction in reduced
    )


def _warn(found: Fit, at_bounds: Sequence[str]) -> None:
    for direction in found.undetermined:
        # Level 3 is the line that called `fit`.
        warnings.warn(_undetermined(found, direction), stacklevel=3)
    for name in at_bounds:
        warnings.warn(
            f"{name} ended at its bound, {found.estimates[name]:g}, so that its standard error means little; "
            "vary other parameters",
            stacklevel=3,
        )


def _undetermined(found: Fit, direction: Mapping[str, float]) -> str:
    one_number = found.data.retention and is_one_number(found.parameters)
    why = (
        "; with restarts retention is one number, a = long_term_decay x cycle_duration / long_term_time_constant"
        if one_number
        else ""
    )
    if len(direction) == 1:
        return f"the data do not depend on {next(iter(direction))}{why}; do not vary it"
    names, parts = " and ".join(direction), " to ".join(f"{part:+.3g}" for part in direction.values())
    return (
        f"the data do not tell {names} apart: a change of them together, in the proportion {parts} (of their "
        f"logarithms, if positive), does not change the fit{why}; vary one less of them"
    )


def _check_names(data: Data, parameters: SimulationParameters, names: Sequence[str]) -> None:
    known = smooth_parameters(parameters)
    if not names:
        raise UsageError("nothing varies; name at least one parameter")
    for name in names:
        if name not in known:
            raise ParameterError(unknown_name("parameter to fit,", name, known))
        if names.count(name) > 1:
            raise UsageError(f"{name} is named twice; name it once")
    if len(names) > data.values.size:
        raise UsageError(
            f"{data.origin} has {data.values.size} rows for {len(names)} parameters; vary fewer, or give more rows"
        )
