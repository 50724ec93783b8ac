"""The least-squares problem of a fit: residuals and exact derivatives of the rate model."""

import warnings
from collections.abc import Sequence

import numpy as np

from astro_sim.engines.tangents import measure_sensitivities, smooth_parameters
from astro_sim.parameter_set import SimulationParameters
from distill.inverse.data import Data
from distill.retention import sampled_factors
from rmaat.base.arrays import Array
from rmaat.base.errors import RmaatError
from rmaat.base.progress import Progress

MOST_RUNS = 100
"""Simulations after which the search gives up."""
UNDETERMINED = 1e-5
"""Singular value, as a share of the largest, below which the data do not determine a direction.

Derivatives are exact to 1e-7, so smaller singular values would be rounding.
"""
SMALLEST_COMPONENT = 0.01
"""Components of a direction along a parameter that are smaller than this are ignored."""
START_WEIGHT = 1e-7
"""Weight of the distance from the start in the residuals, relative to the norm of the data.

Without it a step is not defined along directions that the data do not determine.
"""


class Problem:
    """Rate model and data as a least-squares problem over coordinates.

    The coordinate of a parameter that cannot be negative is its logarithm, of any other the parameter itself.

    Attributes
    ----------
    names : tuple of str
        The parameters that vary.
    logarithmic : (parameter,)
        Whether the coordinate is the logarithm.
    start : (parameter,)
        Coordinates of the given parameters.
    bounds : pair of (parameter,)
        Lowest and highest coordinates.
    scale : float
        Norm of the weighted data.
    runs : int
        Simulations so far.
    """

    def __init__(self, data: Data, parameters: SimulationParameters, names: Sequence[str], progress: Progress) -> None:
        self.data, self.names, self.runs = data, tuple(names), 0
        self._base, self._progress = parameters, progress
        known = smooth_parameters(parameters)
        values, self._quantities = zip(*(known[name] for name in names), strict=True)
        # A start of exactly 0 has no logarithm, even if the parameter cannot be negative.
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
        """Values (parameter,) at `coordinates` (parameter,), in the parameters' units."""
        # Clipped, because exp(log(bound)) may be beyond the bound by one bit.
        values = np.where(self.logarithmic, np.exp(np.where(self.logarithmic, coordinates, 0.0)), coordinates)
        return np.clip(values, [own.low for own in self._quantities], [own.high for own in self._quantities])

    def parameters(self, coordinates: Array) -> SimulationParameters:
        """The parameters of the simulation at `coordinates` (parameter,)."""
        return self._base.override(dict(zip(self.names, self.values(coordinates).tolist(), strict=True)))

    def simulate(self, coordinates: Array) -> tuple[Array, Array]:
        """The rate model's values (row,) for the data, and their derivatives (row, parameter) by coordinate.

        The latest result is kept, because the solver asks for residuals and derivatives of the same point in turn.
        """
        if self._latest is None or not np.array_equal(self._latest[0], coordinates):
            with warnings.catch_warnings():
                # Short cycles warn at every point of the search; a run with the fitted parameters repeats it.
                warnings.simplefilter("ignore")
                found = measure_sensitivities(self.parameters(coordinates), self.names, self.data.times)
            self.runs += 1
            self._progress(min(self.runs / MOST_RUNS, 0.99))
            values = found.values["long_term_process"].mean(axis=(1, 2))
            slopes = found.slopes["long_term_process"].mean(axis=(1, 2))
            # The chain rule: dv / dlog(x) = x dv / dx.
            slopes = slopes * np.where(self.logarithmic, self.values(coordinates), 1.0)
            if self.data.retention:
                values, slopes = sampled_factors(values, slopes)
            self._latest = coordinates.copy(), values, slopes
        return self._latest[1], self._latest[2]

    def residuals(self, coordinates: Array) -> Array:
        """Weighted differences of rate model and data, then weighted distances from the start, (row + parameter,).

        They are infinite where the model cannot be simulated, so that the solver shortens its step.
        """
        try:
            values, _ = self.simulate(coordinates)
        except RmaatError:
            values = np.full(self.data.values.size, np.inf)
        # Without this term the solver would take arbitrary steps along directions that the data leave open.
        from_start = START_WEIGHT * self.scale * (coordinates - self.start)
        return np.concatenate([(values - self.data.values) * self._weights, from_start])

    def jacobian(self, coordinates: Array) -> Array:
        """Derivatives of `residuals`, (row + parameter, parameter).

        Components along directions that the data do not determine are rounding and are removed.
        """
        directions, _, _ = self.directions(coordinates)
        slopes = self._weighted_slopes(coordinates) @ directions.T @ directions
        return np.concatenate([slopes, START_WEIGHT * self.scale * np.eye(self.start.size)])

    def with_free_at_start(self, coordinates: Array) -> Array:
        """`coordinates` (parameter,), but the start for parameters without an effect on the data."""
        _, _, free = self.directions(coordinates)
        # The share of a parameter's axis in the free directions is 1 if the data do not depend on it at all.
        return np.where((free**2).sum(axis=0) > 1 - SMALLEST_COMPONENT**2, self.start, coordinates)

    def directions(self, coordinates: Array) -> tuple[Array, Array, Array]:
        """Orthonormal directions in coordinates: determined ones, the data's change along each, undetermined ones.

        Shapes (direction, parameter), (direction,) and (other direction, parameter).
        """
        _, sizes, directions = np.linalg.svd(self._weighted_slopes(coordinates), full_matrices=False)
        determined = sizes > UNDETERMINED * max(sizes[0], self.scale)
        return directions[determined], sizes[determined], directions[~determined]

    def _weighted_slopes(self, coordinates: Array) -> Array:
        return self.simulate(coordinates)[1] * self._weights[:, None]
