"""Simulate many parameter sets, with small networks solved together. `simulate` is the plain form, for one."""

import itertools
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from astro_sim.durations import multiples
from astro_sim.engines.batch_engine import batch_rate, integrate_batch
from astro_sim.engines.job import Job
from astro_sim.equations.influence import PUSHED, RESPONDING, SLOPE_STEP, Solve, jacobian, response, steady_state
from astro_sim.errors import SimulationError
from astro_sim.network.coupling import sources_to_store
from astro_sim.network.geometry import Geometry
from astro_sim.parameter_set import SimulationParameters
from astro_sim.protocol import presynaptic_drive
from astro_sim.runs.simulate import prepare, simulate
from astro_sim.runs.traces import build_traces
from rmaat.base.arrays import Array
from rmaat.base.errors import RmaatError

LARGEST_TOGETHER = 64
"""Most synapses of a network that is solved together with others; a larger one keeps the processor busy alone."""

Outcome = xr.Dataset | RmaatError


@dataclass(frozen=True, eq=False)
class _Point:
    """One prepared network, and its index in the list of parameter sets."""

    place: int
    parameters: SimulationParameters
    geometry: Geometry
    job: Job

    @property
    def kind(self) -> Hashable:
        """The key of the batch: points are solved together if their keys are equal."""
        intervals = self.job.intervals
        return self.parameters.form, self.geometry.shape, self.job.solver, tuple(entry.restart for entry in intervals)

    @property
    def times(self) -> Array:
        """The stored times (time,) in s: the first cycle while it is driven, and the end of every cycle."""
        protocol = self.parameters.protocol
        cycle = multiples(self.job.recording_interval, protocol.cycle_duration)
        driven = cycle[(presynaptic_drive(self.job.intervals, cycle) != 0).any(axis=1)]
        ends = multiples(protocol.cycle_duration, protocol.run_duration)
        return np.unique(np.concatenate([driven, ends]))


def simulate_batch(parameters: Sequence[SimulationParameters]) -> list[Outcome]:
    """The traces of each of `parameters`, in the same order, or the error that prevents them.

    Small networks that agree in size, forms, solver and number of intervals are solved together. Their values agree
    with those of `simulate` within the solver's tolerance. Their traces hold the times that a distillation reads: the
    first cycle while it is driven, and the end of every cycle. All other networks are passed to `simulate`. The same
    parameters in the same order give the same bits.
    """
    outcomes: dict[int, Outcome] = {}
    together: list[_Point] = []
    with warnings.catch_warnings():
        # A sweep shows the cases that `simulate` warns of in its numbers.
        warnings.simplefilter("ignore")
        for place, own in enumerate(parameters):
            try:
                if own.network.presynaptic_neurons * own.network.postsynaptic_neurons <= LARGEST_TOGETHER:
                    together.append(_Point(place, own, *prepare(own)))
                else:
                    outcomes[place] = simulate(own)
            except RmaatError as error:
                outcomes[place] = error
        kinds = {kind: number for number, kind in enumerate(dict.fromkeys(point.kind for point in together))}
        ordered = sorted(together, key=lambda point: kinds[point.kind])
        for _, group in itertools.groupby(ordered, key=lambda point: kinds[point.kind]):
            outcomes |= _simulate_alike(list(group))
    return [outcomes[place] for place in range(len(parameters))]


def _simulate_alike(points: list[_Point]) -> dict[int, Outcome]:
    """Traces, or errors, by place. A batch that fails is halved until each failing point is alone."""
    jobs, sources = [point.job for point in points], sources_to_store(points[0].geometry.shape)
    try:
        solutions = integrate_batch(jobs, [point.times for point in points])
        influences = measure_influences(jobs)
    except (SimulationError, np.linalg.LinAlgError) as error:
        if len(points) == 1:
            return {points[0].place: error if isinstance(error, SimulationError) else SimulationError(str(error))}
        half = len(points) // 2
        return _simulate_alike(points[:half]) | _simulate_alike(points[half:])
    return {
        point.place: build_traces(point.parameters, "scipy", point.geometry, point.job, solution, sources, influence)
        for point, solution, influence in zip(points, solutions, influences, strict=True)
    }


def measure_influences(jobs: Sequence[Job]) -> Array:
    """Influence (point, source, post, pre), dimensionless, of every synapse on every other, for each job.

    `astro_sim.equations.influence.measure_influence` is the plain form, for one network. Here the
    perturbation is infinitely small.

    Raises
    ------
    SimulationError
        There is a job for which no steady state was found.
    """
    post, pre = jobs[0].coupling.shape
    points = len(jobs)
    silence = np.zeros((pre, points)), np.zeros((post, points))
    compiled, up, down = (batch_rate(jobs, **{PUSHED: shift}) for shift in (0.0, SLOPE_STEP, -SLOPE_STEP))

    def rate(state: Array) -> Array:
        return compiled(state.ravel(), *silence).reshape(state.shape)

    def solver_at(state: Array) -> Solve:
        slopes = jacobian(rate, state)
        return lambda residual: np.linalg.solve(slopes, residual.T[..., None])[..., 0].T

    rest = steady_state(rate, np.zeros((compiled.size // points, points)), solver_at)
    change: Array = (up(rest.ravel(), *silence) - down(rest.ravel(), *silence)) / (2 * SLOPE_STEP)
    pushed = compiled.unpack(change)[RESPONDING]
    # The rows of the short-term process in the state of one network, found by unpacking the indices themselves.
    indices = np.arange(compiled.size, dtype=np.float64)
    rows = (compiled.unpack(indices)[RESPONDING][..., 0].ravel() // points).astype(int)
    force = np.zeros((points, len(rest), rows.size))
    force[:, rows, np.arange(rows.size)] = pushed.reshape(-1, points).T
    responses = response(jacobian(rate, rest), force)[:, rows]
    return responses.transpose(0, 2, 1).reshape(points, -1, post, pre)
