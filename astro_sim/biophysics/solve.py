"""Solve a `System` with SciPy's LSODA, restarted at each kick: a sudden change of a variable."""

from collections.abc import Mapping

import numpy as np
from scipy.integrate import LSODA

from astro_sim.biophysics.system import System
from astro_sim.engines.stepping import SolverStopped, make_solver, states_at
from astro_sim.errors import SimulationError
from rmaat.base.arrays import Array

RELATIVE_TOLERANCE = 1e-9
ABSOLUTE_TOLERANCE = 1e-12


def solve(
    system: System,
    constants: Mapping[str, float],
    initial: Mapping[str, float],
    times: Array,
    kicks: Mapping[float, Mapping[str, float]] | None = None,
) -> dict[str, Array]:
    """Values (time,) of every variable at `times` (time,) in s, increasing; units are those of `system`.

    Parameters
    ----------
    initial : mapping
        Values at `times[0]`; missing variables start at 0.
    kicks : mapping of times in s to amounts by variable, optional
        Each amount is added to its variable at that time. A value stored at the time of a kick is the one before it.

    Raises
    ------
    SimulationError
        The solution grows beyond all bounds, or the solver gave up.
    """
    rate = system.with_constants(constants)
    names = list(system.rates)
    state = np.array([initial.get(name, 0.0) for name in names])
    kicks = {time: kick for time, kick in sorted((kicks or {}).items()) if times[0] <= time < times[-1]}
    stored, edge = [state[:, None]], times[0]
    for end in (*kicks, times[-1]):
        if end > edge:
            inside = times[(times > edge) & (times <= end)]
            found = _advance(rate, edge, end, state, inside)
            stored.append(found[:, : inside.size])
            state, edge = found[:, -1], end
        state = state + [kicks.get(end, {}).get(name, 0.0) for name in names]
    return dict(zip(names, np.concatenate(stored, axis=1), strict=True))


def _advance(rate, start: float, end: float, state: Array, times: Array) -> Array:
    """States (variable, time) at `times`, and in a last column at `end` unless `times` ends there."""
    # LSODA with a dense Jacobian, unlike METHODS: these systems have few variables, which are strongly coupled.
    solver = make_solver(LSODA, lambda _, y: rate(y), start, state, end, RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE)
    try:
        return states_at(solver, np.union1d(times, end)).T
    except SolverStopped:
        raise SimulationError(
            f"scipy found no finite solution between {start:g} and {end:g} s; weaken the kicks or check the constants"
        ) from None
