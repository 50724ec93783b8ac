"""The engines: programs that integrate a `Job`, all behind one signature."""

from collections.abc import Callable, Mapping

import numpy as np

from astro_sim.engines import brian2_engine, scipy_engine
from astro_sim.engines.job import Job, Progress, Solution
from astro_sim.errors import SimulationError
from rmaat.errors import UsageError
from rmaat.records import unknown_name

ENGINES: Mapping[str, Callable[[Job, Progress], Solution]] = {
    "scipy": scipy_engine.integrate,
    "brian2": brian2_engine.integrate,
}
"""SciPy's adaptive solver is the reference; Brian2, with a fixed step, is the independent second opinion."""


def integrate(job: Job, engine: str, progress: Progress) -> Solution:
    """Solve `job` with the engine of that name.

    Raises
    ------
    UsageError
        No engine has that name, or it cannot take the job.
    SimulationError
        The engine failed, or its solution is not finite; time, variable and place are named.
    """
    if engine not in ENGINES:
        raise UsageError(unknown_name("engine", engine, ENGINES))
    solution = ENGINES[engine](job, progress)
    for label, values in solution.values.items():
        if not np.isfinite(values).all():
            time, *place = np.argwhere(~np.isfinite(values))[0]
            raise SimulationError(
                f"{engine} found {values[time, *place]} for {job.model.element(label, place)} at "
                f"{solution.times[time]:g} s; weaken drive or coupling, or refine the solver"
            )
    return solution
