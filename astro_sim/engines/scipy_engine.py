"""SciPy's LSODA, the reference engine.

Measured: restarted at each edge of the stimulus, because a solver that strides over edges can miss a short stimulus
entirely and say nothing; with a diagonal Jacobian, because the coupling is not stiff and a dense one costs synapses².
"""

import warnings
from typing import NoReturn

import numpy as np
from scipy.integrate import solve_ivp

from astro_sim.arrays import Array
from astro_sim.durations import multiples
from astro_sim.engines.job import Job, Progress, Solution
from astro_sim.errors import SimulationError
from astro_sim.parameters import SolverParameters
from astro_sim.protocol import Interval
from astro_sim.right_hand_side import RightHandSide

METHOD = "LSODA"
LARGEST = 1e9
ESCAPED = 1


def integrate(job: Job, progress: Progress) -> Solution:
    """Solve `job`; raises `SimulationError` where the solver gives up."""
    rate = RightHandSide(job.model, job.parameters.to_dict(), job.coupling)
    end = job.intervals[-1].end
    times = multiples(job.recording_interval, end)
    # Filled as it goes, because a large run has no room for a second copy.
    stored = np.zeros((times.size, rate.size))
    state = stored[0]
    for interval in job.intervals:
        if interval.restart:
            state = rate.restarted(state)
        inside = (times > interval.start) & (times <= interval.end)
        # The interval's end is needed to go on, stored or not.
        found = _solve(rate, interval, state, np.union1d(times[inside], interval.end), job.solver)
        stored[inside] = found[: np.count_nonzero(inside)]
        state = found[-1]
        progress(interval.end / end)
    settings = {
        "method": METHOD,
        "relative_tolerance": job.solver.relative_tolerance,
        "absolute_tolerance": job.solver.absolute_tolerance,
    }
    return Solution(times, rate.unpack(stored), settings, ("scipy",))


class _Escape:
    """An event that ends the solution where it grows beyond all measure; LSODA would creep on for ever."""

    terminal = True

    def __call__(self, _: float, state: Array) -> float:
        return LARGEST - float(np.abs(state).max())


def _solve(rate: RightHandSide, interval: Interval, state: Array, times: Array, solver: SolverParameters) -> Array:
    """States (time, size) at `times`, the last of which is the interval's end."""
    drives = interval.presynaptic_drive, interval.postsynaptic_drive
    # LSODA warns where it gives up, and so does NumPy where the state overflows; the error below says it better.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = solve_ivp(
            lambda _, y: rate(y, *drives),
            (interval.start, interval.end),
            state,
            method=METHOD,
            t_eval=times,
            events=_Escape(),
            rtol=solver.relative_tolerance,
            atol=solver.absolute_tolerance,
            lband=0,
            uband=0,
        )
    if result.status == ESCAPED:
        _refuse_escape(rate, result.t_events[0][-1], result.y_events[0][-1])
    if not result.success:
        reached = result.t[-1] if result.t.size else interval.start
        raise SimulationError(
            f"scipy gave up between {reached:g} and {interval.end:g} s; "
            f"loosen absolute_tolerance (now {solver.absolute_tolerance:g}), or weaken drive or coupling"
        )
    return result.y.T


def _refuse_escape(rate: RightHandSide, time: float, state: Array) -> NoReturn:
    values = {label: np.abs(value) for label, value in rate.unpack(state).items()}
    label = max(values, key=lambda name: values[name].max())
    place = np.unravel_index(values[label].argmax(), values[label].shape)
    raise SimulationError(
        f"scipy found {rate.model.element(label, map(int, place))} growing beyond {LARGEST:g} at {time:g} s; "
        "weaken drive or coupling"
    )
