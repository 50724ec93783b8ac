"""Fit parameters of the rate model to data: a long-term curve, or retention factors that a model should have.

| columns | the rate model's side |
| --- | --- |
| `time` (s) or `cycle`, and `value` | long-term process, mean over synapses, at that time or at the cycle's end |
| `segment` and `retention` | RF(t, T) = Delta_t / sum_{i<=T} Delta_i of its increments, T the number of rows |

A further column `error` holds standard errors, by which rows are weighted. Least squares (SciPy's trust region, within
the parameters' bounds) with the exact derivatives of `astro_sim.engines.tangents`; parameters that cannot be negative
vary in their logarithm.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import qr
from scipy.optimize import least_squares

from astro_sim.durations import exact
from astro_sim.engines.tangents import measure_sensitivities, smooth_parameters
from astro_sim.errors import SimulationError
from astro_sim.parameter_set import SimulationParameters
from astro_sim.text_tables import Row, read_csv
from rmaat.base.arrays import Array
from rmaat.base.errors import RmaatError, UsageError
from rmaat.base.progress import Progress, ignore_progress
from rmaat.base.records import ParameterError, unknown_name

MOST_RUNS = 100
STEP_TOLERANCE = 1e-7
"""Relative step at which the search ends; the solver's own rounding would only be followed by smaller ones."""
UNDETERMINED = 1e-5
"""Singular value, as a share of the largest, below which data do not tell a direction; derivatives hold to 1e-7."""
CONSIDERABLE = 0.01
"""Part that a parameter has in a direction, from which on the direction is said to involve it."""
PULL = 1e-7
"""Weight of the start, as a share of the data: with it every step is well defined, whatever the data leave open."""
ROUNDING = 0.02
"""Departure from 1 of the sum of retention factors that is rounding."""


@dataclass(frozen=True, eq=False)
class Data:
    """What the rate model should give.

    Attributes
    ----------
    times : (row,)
        In s, increasing.
    values : (row,)
    errors : (row,) or None
        Standard errors, if they are known.
    retention : bool
        Whether the values are retention factors of the cycles that end at `times`, not the long-term process itself.
    """

    times: Array
    values: Array
    errors: Array | None
    retention: bool
    origin: str


@dataclass(frozen=True, eq=False)
class Fit:
    """The best parameters and how well they are known.

    Attributes
    ----------
    parameters : SimulationParameters
        With the fitted values, whose references say where they are from.
    estimates, errors : mapping of parameter names to numbers
        Standard errors are infinite where the data do not determine the parameter.
    covariance : (parameter, parameter)
        Of the estimates; along directions that are not determined it is 0.
    fitted, residuals : (row,)
        The rate model's values, and the data's less those.
    undetermined : tuple of mappings
        Directions in which the parameters change without the fit: the power of each parameter that varies in its
        logarithm, the amount of each other.
    runs : int
        Simulations that it took.
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


def read_data(path: Path, parameters: SimulationParameters) -> Data:
    """Read a CSV file with the columns above for a run of `parameters`.

    Raises
    ------
    SimulationError
        Columns that are missing, entries that are no numbers or out of range, rows not in order or beyond the run.
    FileError
        The file cannot be read.
    """
    rows = read_csv(path, ())
    columns = set(rows[0].values)
    for place, value in (("time", "value"), ("cycle", "value"), ("segment", "retention")):
        if {place, value} <= columns:
            break
    else:
        raise SimulationError(
            f"{path}, line 1 has the columns {','.join(rows[0].values)}; "
            "start the file with time,value or cycle,value or segment,retention"
        )
    if extra := columns - {place, value, "error"}:
        raise SimulationError(f"{path}, line 1: {unknown_name('column', min(extra), (place, value, 'error'))}")
    times = _times(rows, place, parameters)
    values = np.array([row.number(value) for row in rows])
    errors = np.array([_positive(row, "error") for row in rows]) if "error" in columns else None
    if value == "retention":
        _check_retention(path, rows, values)
    return Data(times, values, errors, value == "retention", path.name)


def fit(
    data: Data, parameters: SimulationParameters, names: Sequence[str], progress: Progress = ignore_progress
) -> Fit:
    """Vary the parameters `names` until the rate model comes nearest to `data`; they start from their own values.

    Raises
    ------
    UsageError
        No name, a name twice or of a parameter that does not vary smoothly, or fewer rows than names.
    SimulationError
        The start cannot be simulated, or no optimum was found.

    Warns
    -----
    UserWarning
        The data do not determine all the parameters, with the directions that are free; or one ends at a bound.
    """
    _check_names(data, parameters, names)
    problem = _Problem(data, parameters, names, progress)
    # Here a start that cannot be simulated says why; in the search such a point is only a step that was too long.
    problem.simulate(problem.start)
    # SciPy's published types know no function for the derivatives.
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
    found = _judged(problem, problem.settled(result.x))
    _warn(found, [name for name, active in zip(names, result.active_mask, strict=True) if active])
    return found


class _Problem:
    """Data and rate model as least squares over coordinates: the logarithms of parameters above 0, others themselves.

    Attributes
    ----------
    start : (parameter,)
    bounds : pair of (parameter,)
    scale : float
        Size of the weighted data.
    runs : int
        Simulations so far.
    """

    def __init__(self, data: Data, parameters: SimulationParameters, names: Sequence[str], progress: Progress) -> None:
        self.data, self.names, self.runs = data, tuple(names), 0
        self._base, self._progress = parameters, progress
        known = smooth_parameters(parameters)
        values, self._quantities = zip(*(known[name] for name in names), strict=True)
        self.logarithmic = np.array(
            [own.low >= 0 and value > 0 for value, own in zip(values, self._quantities, strict=True)]
        )
        low, high = (np.array([getattr(own, end) for own in self._quantities]) for end in ("low", "high"))
        self.start = self._coordinates(np.array(values))
        self.bounds = self._coordinates(low), self._coordinates(high)
        self._weights = np.ones(data.values.size) if data.errors is None else 1 / data.errors
        self.scale = float(np.linalg.norm(data.values * self._weights))
        self._latest: tuple[Array, Array, Array] | None = None

    def _coordinates(self, values: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.logarithmic, np.log(values), values)

    def values(self, coordinates: Array) -> Array:
        """The parameters' values, within their bounds to the last bit."""
        values = np.where(self.logarithmic, np.exp(np.where(self.logarithmic, coordinates, 0.0)), coordinates)
        return np.clip(values, [own.low for own in self._quantities], [own.high for own in self._quantities])

    def parameters(self, coordinates: Array) -> SimulationParameters:
        """The parameters of the run at `coordinates`."""
        return self._base.override(dict(zip(self.names, self.values(coordinates).tolist(), strict=True)))

    def simulate(self, coordinates: Array) -> tuple[Array, Array]:
        """What the rate model gives for the data (row,), and its derivatives (row, parameter) by coordinate."""
        if self._latest is None or not np.array_equal(self._latest[0], coordinates):
            with warnings.catch_warnings():
                # Of cycles that are short, at every point of the search; the fitted run will tell again.
                warnings.simplefilter("ignore")
                found = measure_sensitivities(self.parameters(coordinates), self.names, self.data.times)
            self.runs += 1
            self._progress(min(self.runs / MOST_RUNS, 0.99))
            values = found.values["long_term_process"].mean(axis=(1, 2))
            slopes = found.slopes["long_term_process"].mean(axis=(1, 2))
            slopes = slopes * np.where(self.logarithmic, self.values(coordinates), 1.0)
            if self.data.retention:
                values, slopes = _retention(values, slopes)
            self._latest = coordinates.copy(), values, slopes
        return self._latest[1], self._latest[2]

    def residuals(self, coordinates: Array) -> Array:
        """The rate model less the data, weighted, and the pull to the start; infinite where the model cannot be run."""
        try:
            values, _ = self.simulate(coordinates)
        except RmaatError:
            values = np.full(self.data.values.size, np.inf)
        pull = PULL * self.scale * (coordinates - self.start)
        return np.concatenate([(values - self.data.values) * self._weights, pull])

    def jacobian(self, coordinates: Array) -> Array:
        """Derivatives of `residuals`, without what is rounding along directions that the data do not determine."""
        directions, _, _ = self.directions(coordinates)
        slopes = self._weighted_slopes(coordinates) @ directions.T @ directions
        return np.concatenate([slopes, PULL * self.scale * np.eye(self.start.size)])

    def settled(self, coordinates: Array) -> Array:
        """The same with parameters that the data do not depend on where they started."""
        _, _, free = self.directions(coordinates)
        return np.where((free**2).sum(axis=0) > 1 - CONSIDERABLE**2, self.start, coordinates)

    def directions(self, coordinates: Array) -> tuple[Array, Array, Array]:
        """Orthonormal directions that the data determine, how much the data change along each, and the others."""
        _, sizes, directions = np.linalg.svd(self._weighted_slopes(coordinates), full_matrices=False)
        told = sizes > UNDETERMINED * max(sizes[0], self.scale)
        return directions[told], sizes[told], directions[~told]

    def _weighted_slopes(self, coordinates: Array) -> Array:
        return self.simulate(coordinates)[1] * self._weights[:, None]


def _retention(values: Array, slopes: Array) -> tuple[Array, Array]:
    """Retention factors of the long-term process at the ends of cycles, and their derivatives."""
    factors = np.diff(values, prepend=0.0) / values[-1]
    increments = np.diff(slopes, axis=0, prepend=0.0)
    return factors, (increments - factors[:, None] * slopes[-1]) / values[-1]


def _judged(problem: _Problem, coordinates: Array) -> Fit:
    """The fit at the optimum, with what the data tell of each parameter."""
    data, values = problem.data, problem.values(coordinates)
    fitted, _ = problem.simulate(coordinates)
    directions, sizes, free = problem.directions(coordinates)
    freedom = data.values.size - sizes.size
    if data.errors is not None:
        variance = 1.0
    else:
        variance = float(np.sum((data.values - fitted) ** 2)) / freedom if freedom else math.nan
    inverse = directions / sizes[:, None]
    units = np.where(problem.logarithmic, values, 1.0)
    covariance = variance * (inverse.T @ inverse) * np.outer(units, units)
    undetermined = _simplest(free, problem.names)
    unknown = {name for direction in undetermined for name in direction}
    errors = {
        name: math.inf if name in unknown else math.sqrt(own)
        for name, own in zip(problem.names, np.diag(covariance), strict=True)
    }
    best = problem.parameters(coordinates)
    best = best.changed({"references": dict.fromkeys(problem.names, f"fitted to {data.origin}")})
    estimates = dict(zip(problem.names, values.tolist(), strict=True))
    return Fit(data, best, estimates, errors, covariance, fitted, data.values - fitted, undetermined, problem.runs)


def _simplest(directions: Array, names: Sequence[str]) -> tuple[dict[str, float], ...]:
    """Directions that span the same space, each of as few parameters as may be, the largest part of each being 1."""
    if not len(directions):
        return ()
    factors: Any = qr(directions, mode="economic", pivoting=True)
    _, triangle, order = factors
    count = len(directions)
    reduced = np.empty_like(directions)
    reduced[:, order] = np.linalg.solve(triangle[:, :count], triangle)
    reduced /= np.take_along_axis(reduced, np.abs(reduced).argmax(axis=1)[:, None], axis=1)
    return tuple(
        {name: float(part) for name, part in zip(names, direction, strict=True) if abs(part) > CONSIDERABLE}
        for direction in reduced
    )


def _warn(found: Fit, at_bounds: Sequence[str]) -> None:
    for direction in found.undetermined:
        warnings.warn(_undetermined(found, direction), stacklevel=3)
    for name in at_bounds:
        warnings.warn(
            f"{name} ended at its bound, {found.estimates[name]:g}, so that its standard error means little; "
            "vary other parameters",
            stacklevel=3,
        )


def _undetermined(found: Fit, direction: Mapping[str, float]) -> str:
    protocol, form = found.parameters.protocol, found.parameters.form
    one_number = found.data.retention and protocol.restart_fast_variables and form.long_term_growth == "linear"
    why = (
        "; with restarts retention is one number, a = long_term_decay x cycle_duration / long_term_time_constant"
        if one_number
        else ""
    )
    if len(direction) == 1:
        return f"the data do not depend on {next(iter(direction))}{why}; do not vary it"
    names, parts = " and ".join(direction), " to ".join(f"{part:+.3g}" for part in direction.values())
    return (
        f"the data do not tell {names} apart, which leave the fit as it is when they change together, in the "
        f"proportion {parts} (of their logarithms, if positive){why}; vary one less of them"
    )


def _check_names(data: Data, parameters: SimulationParameters, names: Sequence[str]) -> None:
    known = smooth_parameters(parameters)
    if not names:
        raise UsageError("nothing varies; name at least one parameter")
    for name in names:
        if name not in known:
            raise ParameterError(unknown_name("parameter to fit,", name, known))
        if names.count(name) > 1:
            raise UsageError(f"{name} is to vary twice; name it once")
    if len(names) > data.values.size:
        raise UsageError(
            f"{data.origin} has {data.values.size} rows for {len(names)} parameters; vary fewer, or give more rows"
        )


def _times(rows: Sequence[Row], place: str, parameters: SimulationParameters) -> Array:
    """When each row is, in s: increasing and within the run."""
    protocol = parameters.protocol
    times: list[float] = []
    for number, row in enumerate(rows, start=1):
        value = _positive(row, place)
        if place == "segment" and value != number:
            raise row.error(f"has segment {value:g} where {number} was due", "list the segments from 1, one a row")
        time = value if place == "time" else float(exact(value) * exact(protocol.cycle_duration))
        if times and time <= times[-1]:
            raise row.error(f"has {place} {value:g} after one not below it", f"sort the rows by {place}, each once")
        if time > protocol.run_duration:
            raise row.error(
                f"has {place} {value:g}, beyond the run of {protocol.cycles} cycles, {protocol.run_duration:g} s",
                "lengthen run_duration, or leave the row out",
            )
        times.append(time)
    return np.array(times)


def _positive(row: Row, column: str) -> float:
    number = row.number(column)
    if number <= 0:
        raise row.error(f"has {number:g} as {column}", "write a number above 0")
    return number


def _check_retention(path: Path, rows: Sequence[Row], values: Array) -> None:
    for row in rows:
        _positive(row, "retention")
    if abs(values.sum() - 1) > ROUNDING:
        raise SimulationError(
            f"{path} has retention factors that sum to {values.sum():.4g}; "
            "they are shares of one whole: divide each by the sum"
        )
