"""The one loop that steps a SciPy solver, with the settings and the clean-up that all its users share.

`scipy_engine` (one network), `batch_engine` (many networks as one system), `tangents` (states with derivatives) and
`astro_sim.biophysics.solve` use it. SciPy's `solve_ivp` is not used, because it keeps every step of a run in memory and
searches for roots of events in every step.
"""

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.integrate import DOP853, LSODA

from astro_sim.errors import SimulationError
from astro_sim.parameters import SolverParameters
from rmaat.base.arrays import Array

METHODS: Mapping[str, Callable[..., Any]] = {
    # Measured: a diagonal Jacobian is enough, because the coupling is not stiff; a dense one costs synapses².
    "lsoda": functools.partial(LSODA, lband=0, uband=0),
    "dop853": DOP853,
}
"""The constructor of the solver for each value of `SolverParameters.method`."""

LARGEST = 1e9
"""Largest absolute value of a state; LSODA follows a state that escapes to infinity in ever smaller steps."""


class SolverStopped(SimulationError):
    """The solver gave up, or a state grew beyond LARGEST.

    Attributes
    ----------
    before, time : float
        Start and end of the step that failed, in the solver's time.
    state : (size,)
        The state at `time`.
    escaped : bool
        Whether the state grew beyond LARGEST.
    reason : str
        In words; SciPy's own if the solver gave up.
    """

    def __init__(self, solver: Any, before: float, message: str | None) -> None:
        self.before, self.time, self.state = before, float(solver.t), solver.y
        self.escaped = solver.status != "failed"
        self.reason = f"a state grew beyond {LARGEST:g}" if self.escaped else message or "no reason given"
        super().__init__(f"scipy gave up ({self.reason}); loosen the tolerances, or weaken drive or coupling")


def describe_solver(solver: SolverParameters) -> dict[str, Any]:
    """The method and the tolerances, as plain values for the traces file."""
    return {
        "method": solver.method.upper(),
        "relative_tolerance": solver.relative_tolerance,
        "absolute_tolerance": solver.absolute_tolerance,
    }


def make_solver(
    kind: Callable[..., Any],
    rate: Callable[[float, Array], Array],
    start: float,
    state: Array,
    end: float,
    relative: float,
    absolute: float | Array,
) -> Any:
    """The solver `kind` at `start` with `state` (size,), ready to step to `end`.

    `rate` returns d state / dt (size,). The tolerances are per step; `absolute` may differ by element (size,).
    """
    with quiet():
        return kind(rate, start, state, end, rtol=relative, atol=absolute)


def step_through(solver: Any, times: Array, watched: slice = slice(None)) -> Iterator[Array]:
    """Step `solver` to its end and yield, after each step, those of `times` that the step passed.

    Between two steps the caller reads `solver.t`, `solver.y` and `solver.dense_output()`. At the end the solver is
    released.

    Parameters
    ----------
    times : (time,)
        In the solver's time, increasing, after its start and up to its end.
    watched
        The elements of the state that must not grow beyond LARGEST.

    Raises
    ------
    SolverStopped
        The solver gave up, or a watched element grew beyond LARGEST.
    """
    passed = 0
    while solver.status == "running":
        before = solver.t
        with quiet():
            message = solver.step()
        # Written with `not`, so that NaN counts as escaped.
        if solver.status == "failed" or not np.abs(solver.y[watched]).max() <= LARGEST:
            raise SolverStopped(solver, before, message)
        due = int(np.searchsorted(times, solver.t, side="right"))
        yield times[passed:due]
        passed = due
    release(solver)


def states_at(solver: Any, times: Array, watched: slice = slice(None)) -> Array:
    """The states (time, size) at `times`; arguments and errors as for `step_through`."""
    found, row = np.empty((times.size, solver.y.size)), 0
    for passed in step_through(solver, times, watched):
        if passed.size:
            found[row : row + passed.size] = solver.dense_output()(passed).T
            row += passed.size
    return found


def release(solver: Any) -> None:
    """Free the memory of a finished solver; otherwise it accumulates from interval to interval.

    Every solver refers to itself, so that only the garbage collector would free it. LSODA of SciPy 1.17 moreover never
    frees its work space, as large as 16 states. It has no public way to do so, hence the private attributes here.
    """
    if isinstance(solver, LSODA):
        solver._lsoda_solver._integrator.rwork.resize(0, refcheck=False)
    vars(solver).clear()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings of solvers that give up and of NumPy on overflow; `SolverStopped` replaces them."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
