"""The engines: solvers of a `Job`, all with the same signature."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from astro_sim.durations import exact
from astro_sim.engines import scipy_engine
from astro_sim.engines.brian2 import engine as brian2_engine
from astro_sim.engines.job import Job, Solution
from astro_sim.errors import SimulationError
from rmaat.base.errors import UsageError
from rmaat.base.progress import Progress
from rmaat.base.records import ParameterError, unknown_name

ENGINES: Mapping[str, Callable[[Job, Progress], Solution]] = {
    "scipy": scipy_engine.integrate,
    "brian2": brian2_engine.integrate,
}
"""SciPy's adaptive solver is the reference. Brian2, with a fixed step, is an independent check."""

# In bytes. Readers of traces need up to three copies, which then still fit into a small machine.
LARGEST_RECORDING = 10**9


def integrate(job: Job, engine: str, progress: Progress) -> Solution:
    """Solve `job` with the engine of that name.

    Raises
    ------
    UsageError
        The engine is unknown, it does not support the job, or the run would store more than LARGEST_RECORDING.
    SimulationError
        The engine failed, or its solution is not finite. The message names time, variable and place.
    """
    if engine not in ENGINES:
        raise UsageError(unknown_name("engine", engine, ENGINES))
    _check_recording(job)
    solution = ENGINES[engine](job, progress)
    for label, values in solution.values.items():
        if not np.isfinite(values).all():
            time, *place = np.argwhere(~np.isfinite(values))[0]
            raise SimulationError(
                f"{engine} found {values[time, *place]} for {job.model.element(label, place)} at "
                f"{solution.times[time]:g} s; weaken drive or coupling, or refine the solver"
            )
    return solution


def _check_recording(job: Job) -> None:
    sizes: dict[str, int] = dict(zip(("post", "pre"), job.coupling.shape, strict=True))
    values = sum(math.prod(sizes[dim] for dim in variable.dims) for variable in job.model.variables)
    times = int(exact(job.intervals[-1].end) / exact(job.recording_interval)) + 1
    if (size := times * values * np.dtype(float).itemsize) > LARGEST_RECORDING:
        raise ParameterError(
            f"{times} times of {values} values take {size / 1e9:.1f} GB, more than the {LARGEST_RECORDING / 1e9:g} GB "
            f"that a run may keep in memory; lengthen recording_interval, now {job.recording_interval:g} s, or let "
            "scipy write as it goes (rmaat simulate, or astro_sim.simulate_to_file)"
        )
