"""SciPy's LSODA for a `System` that is kicked at given times, restarted at each kick."""

from collections.abc import Mapping

import numpy as np
from scipy.integrate import solve_ivp

from astro_sim.biophysics.system import System
from astro_sim.errors import SimulationError
from rmaat.base.arrays import Array

RELATIVE_TOLERANCE = 1e-9
ABSOLUTE_TOLERANCE = 1e-12
LARGEST = 1e9


def solve(
    system: System,
    constants: Mapping[str, float],
    initial: Mapping[str, float],
    times: Array,
    kicks: Mapping[float, Mapping[str, float]] | None = None,
) -> dict[str, Array]:
    """Values (time,) of every variable at `times`, which increase from the start on.

    Parameters
    ----------
    initial : mapping
        Values at `times[0]`; variables left out start at 0.
    kicks : mapping of times in s to what is added to which variable, optional
        A value stored at the time of a kick is the one before it.

    Raises
    ------
    SimulationError
        The solution grows beyond all measure, or the solver gave up.
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


class _Escape:
    """An event that ends a solution which grows beyond all measure; LSODA would creep on for ever."""

    terminal = True

    def __call__(self, _: float, state: Array) -> float:
        return LARGEST - float(np.abs(state).max())


def _advance(rate, start: float, end: float, state: Array, times: Array) -> Array:
    """States (variable, time) at `times`, and at `end` after them."""
    result = solve_ivp(
        lambda _, y: rate(y),
        (start, end),
        state,
        method="LSODA",
        t_eval=times if times.size and times[-1] == end else [*times, end],
        events=_Escape(),
        rtol=RELATIVE_TOLERANCE,
        atol=ABSOLUTE_TOLERANCE,
    )
    if result.status != 0:
        raise SimulationError(
            f"scipy found no finite solution between {start:g} and {end:g} s; weaken the kicks or check the constants"
        )
    return result.y
