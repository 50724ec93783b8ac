"""From many parameters to many traces: `simulate` for sweeps, with small networks solved together."""

import itertools
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from astro_sim.durations import multiples
from astro_sim.engines.batch_engine import batch_rate, integrate_batch
from astro_sim.engines.job import Job
from astro_sim.equations.influence import ANSWERING, MOST_STEPS, PUSHED, SLOPE_STEP, TOLERANCE
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
"""Most synapses of a network that is solved together with others; larger ones fill the processor by themselves."""

Outcome = xr.Dataset | RmaatError


@dataclass(frozen=True, eq=False)
class _Point:
    """One network made ready, and its place among the parameters."""

    place: int
    parameters: SimulationParameters
    geometry: Geometry
    job: Job

    @property
    def kind(self) -> Hashable:
        """What points that are solved together share."""
        intervals = self.job.intervals
        return self.parameters.form, self.geometry.shape, self.job.solver, tuple(entry.restart for entry in intervals)

    @property
    def times(self) -> Array:
        """What is stored: the first cycle while it is driven, and every cycle's end."""
        protocol = self.parameters.protocol
        cycle = multiples(self.job.recording_interval, protocol.cycle_duration)
        driven = cycle[(presynaptic_drive(self.job.intervals, cycle) != 0).any(axis=1)]
        ends = multiples(protocol.cycle_duration, protocol.run_duration)
        return np.unique(np.concatenate([driven, ends]))


def simulate_batch(parameters: Sequence[SimulationParameters]) -> list[Outcome]:
    """Traces for each of `parameters`, or the error that stands in their way; the order is kept.

    Small networks that agree in size, forms, solver and number of intervals are solved together, within the solver's
    tolerance of what `simulate` finds; their traces hold the first cycle while it is driven and every cycle's end,
    which is what a distillation reads. Others are left to `simulate`. Equal parameters in equal order give equal bits.
    """
    outcomes: dict[int, Outcome] = {}
    together: list[_Point] = []
    with warnings.catch_warnings():
        # What `simulate` would warn of shows in the numbers of the sweep.
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
    """Traces by place. A batch that fails is halved until the points to blame stand alone."""
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
    """Influence (point, source, post, pre) of every synapse on every other, as `measure_influence` at each point.

    Here in the limit of a vanishing push: `-Jacobian⁻¹ ∂rate/∂push` at rest.

    Raises
    ------
    SimulationError
        At some point no steady state was found.
    """
    post, pre = jobs[0].coupling.shape
    points = len(jobs)
    silence = np.zeros((pre, points)), np.zeros((post, points))
    rate, up, down = (batch_rate(jobs, **{PUSHED: shift}) for shift in (0.0, SLOPE_STEP, -SLOPE_STEP))
    state = np.zeros((rate.size // points, points))

    def rates_at(values: Array) -> Array:
        return rate(values.ravel(), *silence).reshape(values.shape)

    def jacobian() -> Array:
        """(point, rate, variable), by central differences."""
        steps = SLOPE_STEP * np.eye(len(state))[:, :, None]
        columns = [(rates_at(state + step) - rates_at(state - step)) / (2 * SLOPE_STEP) for step in steps]
        return np.stack(columns).transpose(2, 1, 0)

    for _ in range(MOST_STEPS):
        step = np.linalg.solve(jacobian(), rates_at(state).T[..., None])[..., 0].T
        state = state - step
        if (np.abs(step).max(axis=0) <= TOLERANCE * np.maximum(1, np.abs(state).max(axis=0))).all():
            break
    else:
        raise SimulationError("no steady state near rest was found; lower short_term_gain, coupling or biases")
    change: Array = (up(state.ravel(), *silence) - down(state.ravel(), *silence)) / (2 * SLOPE_STEP)
    pushed = rate.unpack(change)[ANSWERING]
    indices = np.arange(rate.size, dtype=np.float64)
    rows = (rate.unpack(indices)[ANSWERING][..., 0].ravel() // points).astype(int)
    force = np.zeros((points, len(state), rows.size))
    force[:, rows, np.arange(rows.size)] = pushed.reshape(-1, points).T
    answers: Array = -np.asarray(np.linalg.solve(jacobian(), force), dtype=np.float64)[:, rows]
    return answers.transpose(0, 2, 1).reshape(points, -1, post, pre)
