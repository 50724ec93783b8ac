"""The reference engine: SciPy's adaptive solvers on one network.

`astro_sim.engines.brian2.engine` is the second, independent engine. `batch_engine` and `tangents` build on the form
here: many networks at once, and states with derivatives. All step through `stepping`.

The solver restarts at each edge of the stimulus. Measured: a solver that steps over edges can miss a short stimulus
completely, without an error. LSODA is the default. DOP853, explicit and of order 8, is a check on LSODA, and it is
faster on large networks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from astro_sim.durations import multiples
from astro_sim.engines.job import Job, Solution
from astro_sim.engines.stepping import LARGEST, METHODS, SolverStopped, describe_solver, make_solver, step_through
from astro_sim.equations.right_hand_side import RightHandSide
from astro_sim.errors import SimulationError
from astro_sim.protocol import Interval
from rmaat.base.arrays import Array
from rmaat.base.progress import Progress

ROWS_AT_ONCE = 32
"""Number of states that are interpolated together; it bounds the memory when a long step passes many stored times."""


@dataclass(frozen=True, eq=False)
class Edge:
    """The position of a run between two intervals. The solver restarts here, so this is all that a checkpoint needs.

    Attributes
    ----------
    interval : int
        Index of the next interval.
    rows : int
        Number of times that are stored already.
    state : (size,)
        Before any restart of the fast variables.
    """

    interval: int
    rows: int
    state: Array


def integrate(job: Job, progress: Progress) -> Solution:
    """Solve `job`; raises `SimulationError` if the solver gives up."""
    rate = right_hand_side(job)
    times = stored_times(job)
    # Allocated once: collecting rows and joining them would need twice the memory of a large run.
    stored = np.empty((times.size, rate.size))

    def keep(row: int, states: Array) -> None:
        stored[row : row + len(states)] = states

    for _ in advance(job, rate, start(rate), keep, progress):
        pass
    return Solution(times, rate.unpack(stored), describe_solver(job.solver), ("scipy",))


def right_hand_side(job: Job) -> RightHandSide:
    """The compiled equations of `job`."""
    return RightHandSide(job.model, job.parameters.to_dict(), job.coupling)


def stored_times(job: Job) -> Array:
    """The times (time,), in s, at which states are stored."""
    return multiples(job.recording_interval, job.intervals[-1].end)


def start(rate: RightHandSide) -> Edge:
    """The edge at 0 s, with all variables at 0."""
    return Edge(0, 0, np.zeros(rate.size))


def advance(
    job: Job, rate: RightHandSide, edge: Edge, keep: Callable[[int, Array], None], progress: Progress
) -> Iterator[Edge]:
    """Solve `job` from `edge` on, and yield the edge at the end of each interval.

    Parameters
    ----------
    keep : callable
        Receives the index of a stored time and the states (time, size) from there on, in order of time. It is called
        with at most ROWS_AT_ONCE states, so that memory does not grow with the length of the run.

    Raises
    ------
    SimulationError
        The solver gives up, or the state grows beyond all bounds.
    """
    times = stored_times(job)
    rows, state = edge.rows, edge.state
    if rows == 0:
        keep(0, state[None])
        rows = 1
    for count, interval in enumerate(job.intervals[edge.interval :], edge.interval + 1):
        inside = times[rows : np.searchsorted(times, interval.end, side="right")]
        begin = rate.restarted(state) if interval.restart else state
        drives = interval.presynaptic_drive, interval.postsynaptic_drive
        solver = make_solver(
            METHODS[job.solver.method],
            lambda _, y, drives=drives: rate(y, *drives),
            interval.start,
            begin,
            interval.end,
            job.solver.relative_tolerance,
            job.solver.absolute_tolerance,
        )
        with _explained(job, rate, interval):
            for passed in step_through(solver, inside):
                for block in range(0, passed.size, ROWS_AT_ONCE):
                    keep(rows + block, solver.dense_output()(passed[block : block + ROWS_AT_ONCE]).T)
                rows, state = rows + passed.size, solver.y
                progress(solver.t / job.intervals[-1].end)
        yield Edge(count, rows, state)


@contextmanager
def _explained(job: Job, rate: RightHandSide, interval: Interval) -> Iterator[None]:
    """Replace `SolverStopped` by an error that names the tolerance, or the variable that escaped."""
    try:
        yield
    except SolverStopped as stop:
        if stop.escaped:
            raise SimulationError(
                f"scipy found {_largest_element(rate, stop.state)} growing beyond {LARGEST:g} at {stop.time:g} s; "
                "weaken drive or coupling"
            ) from None
        raise SimulationError(
            f"scipy gave up between {stop.time:g} and {interval.end:g} s; loosen absolute_tolerance "
            f"(now {job.solver.absolute_tolerance:g}), or weaken drive or coupling"
        ) from None


def _largest_element(rate: RightHandSide, state: Array) -> str:
    """The element of `state` with the largest absolute value, in words; NaN counts as infinite."""
    values = rate.unpack(np.where(np.isnan(state), np.inf, np.abs(state)))
    label = max(values, key=lambda name: values[name].max())
    place = np.unravel_index(values[label].argmax(), values[label].shape)
    return rate.model.element(label, map(int, place))
