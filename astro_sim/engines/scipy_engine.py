"""SciPy's solvers, the reference engine.

Measured: restarted at each edge of the stimulus, because a solver that strides over edges can miss a short stimulus
entirely and say nothing; LSODA with a diagonal Jacobian, because the coupling is not stiff and a dense one costs
synapses². DOP853, explicit and of order 8, is the second opinion on LSODA, and of large networks the faster one.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from scipy.integrate import DOP853, LSODA

from astro_sim.durations import multiples
from astro_sim.engines.job import Job, Solution
from astro_sim.equations.right_hand_side import RightHandSide
from astro_sim.errors import SimulationError
from astro_sim.parameters import SolverParameters
from astro_sim.protocol import Interval
from rmaat.base.arrays import Array
from rmaat.base.progress import Progress

METHODS: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
    "lsoda": (LSODA, {"lband": 0, "uband": 0}),
    "dop853": (DOP853, {}),
}
"""What makes each solver, and what it needs beside tolerances."""

LARGEST = 1e9
# Interpolated at once: as many states as this are in memory, however many are stored within a step.
ROWS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Edge:
    """Where a run stands between two intervals; the solver restarts here, so that nothing else is needed to go on.

    Attributes
    ----------
    interval : int
        Index of the interval that follows.
    rows : int
        How many stored times are behind.
    state : (size,)
        Before any restart of the fast variables.
    """

    interval: int
    rows: int
    state: Array


def integrate(job: Job, progress: Progress) -> Solution:
    """Solve `job`; raises `SimulationError` where the solver gives up."""
    rate = right_hand_side(job)
    times = stored_times(job)
    # Filled as it goes, because a large run has no room for a second copy.
    stored = np.empty((times.size, rate.size))

    def keep(row: int, states: Array) -> None:
        stored[row : row + len(states)] = states

    for _ in advance(job, rate, start(rate), keep, progress):
        pass
    return Solution(times, rate.unpack(stored), settings(job.solver), ("scipy",))


def right_hand_side(job: Job) -> RightHandSide:
    """The equations of `job`, compiled."""
    return RightHandSide(job.model, job.parameters.to_dict(), job.coupling)


def stored_times(job: Job) -> Array:
    """The times (time,) in s at which states are stored."""
    return multiples(job.recording_interval, job.intervals[-1].end)


def settings(solver: SolverParameters) -> dict[str, Any]:
    """The solver and its settings, as plain values."""
    return {
        "method": solver.method.upper(),
        "relative_tolerance": solver.relative_tolerance,
        "absolute_tolerance": solver.absolute_tolerance,
    }


def start(rate: RightHandSide) -> Edge:
    """The edge at 0 s, with all variables at 0."""
    return Edge(0, 0, np.zeros(rate.size))


def advance(
    job: Job, rate: RightHandSide, edge: Edge, keep: Callable[[int, Array], None], progress: Progress
) -> Iterator[Edge]:
    """Solve `job` on from `edge`, and yield the edge at which each interval ends.

    Parameters
    ----------
    keep : callable
        Given the number of a stored time and the states (time, size) from there on, in the order of time; a few at
        once, so that memory does not grow with the length of the run.

    Raises
    ------
    SimulationError
        The solver gives up, or the state escapes.
    """
    times, end = stored_times(job), job.intervals[-1].end
    rows, state = edge.rows, edge.state
    if rows == 0:
        keep(0, state[None])
        rows = 1
    for count, interval in enumerate(job.intervals[edge.interval :], edge.interval + 1):
        inside = times[rows : np.searchsorted(times, interval.end, side="right")]
        begin = rate.restarted(state) if interval.restart else state
        for solver in _steps(job, rate, interval, begin):
            passed, inside = np.split(inside, [np.searchsorted(inside, solver.t, side="right")])
            for block in range(0, passed.size, ROWS_AT_ONCE):
                keep(rows + block, solver.dense_output()(passed[block : block + ROWS_AT_ONCE]).T)
            rows, state = rows + passed.size, solver.y
            progress(solver.t / end)
        yield Edge(count, rows, state)


def _steps(job: Job, rate: RightHandSide, interval: Interval, state: Array) -> Iterator[Any]:
    """The solver after each of its steps through `interval`."""
    drives = interval.presynaptic_drive, interval.postsynaptic_drive
    solver = make_solver(job.solver, lambda _, y: rate(y, *drives), interval.start, state, interval.end)
    while solver.status == "running":
        with quiet():
            solver.step()
        if solver.status == "failed":
            raise SimulationError(
                f"scipy gave up between {solver.t:g} and {interval.end:g} s; loosen absolute_tolerance "
                f"(now {job.solver.absolute_tolerance:g}), or weaken drive or coupling"
            )
        # LSODA would creep on for ever.
        if not np.abs(solver.y).max() <= LARGEST:
            _refuse_escape(rate, solver.t, solver.y)
        yield solver
    release(solver)


def make_solver(
    parameters: SolverParameters,
    rate: Callable[[float, Array], Array],
    start: float,
    state: Array,
    end: float,
    finer: float = 1.0,
) -> Any:
    """The solver of `parameters`, at `state` and ready to step from `start` to `end`, `finer` times as fine."""
    kind, options = METHODS[parameters.method]
    tolerances = {"rtol": parameters.relative_tolerance / finer, "atol": parameters.absolute_tolerance / finer}
    with quiet():
        return kind(rate, start, state, end, **tolerances, **options)


def release(solver: Any) -> None:
    """Free the memory of a solver that is done; by itself it would pile up from interval to interval.

    SciPy 1.17's LSODA never lets go of its work space, of 16 states, and every solver refers to itself.
    """
    if isinstance(solver, LSODA):
        solver._lsoda_solver._integrator.rwork.resize(0, refcheck=False)
    vars(solver).clear()


@contextmanager
def quiet() -> Iterator[None]:
    """Solvers warn where they give up, and so does NumPy where the state overflows; our errors say it better."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _refuse_escape(rate: RightHandSide, time: float, state: Array) -> NoReturn:
    sizes = np.where(np.isnan(state), np.inf, np.abs(state))
    values = rate.unpack(sizes)
    label = max(values, key=lambda name: values[name].max())
    place = np.unravel_index(values[label].argmax(), values[label].shape)
    raise SimulationError(
        f"scipy found {rate.model.element(label, map(int, place))} growing beyond {LARGEST:g} at {time:g} s; "
        "weaken drive or coupling"
    )
