"""Simulate one parameter set: geometry, coupling, solution, influence, traces."""

import warnings

import numpy as np
import xarray as xr

from astro_sim.engines import integrate
from astro_sim.engines.job import Job
from astro_sim.equations.influence import measure_influence
from astro_sim.equations.model import Model
from astro_sim.equations.stability import check_stability
from astro_sim.errors import SimulationError
from astro_sim.network.coupling import build_coupling, sources_to_store
from astro_sim.network.geometry import Geometry, build_geometry
from astro_sim.parameter_set import SimulationParameters
from astro_sim.protocol import build_intervals, first_drive
from astro_sim.runs.traces import build_traces, mean_over_synapses
from rmaat.base.arrays import Array
from rmaat.base.progress import Progress, ignore_progress

NEGLIGIBLE_INCREMENT = 1e-6
"""Share of the largest increment; smaller differences are within the solver's tolerances."""


def simulate(
    parameters: SimulationParameters | None = None,
    engine: str = "scipy",
    *,
    model: Model | None = None,
    progress: Progress = ignore_progress,
) -> xr.Dataset:
    """Run a model and return its traces; `astro_sim.runs.traces` lists their variables with axes.

    Parameters
    ----------
    parameters : SimulationParameters, optional
        The default is 3 x 3 neurons and six cycles of 50 s.
    engine : str
        A name in `astro_sim.ENGINES`.
    model : Model, optional
        Equations to use instead of `parameters.form`. They need all variables of the rate model; see
        docs/simulator.md.
    progress : callable, optional
        Called with the fraction done, in [0, 1].

    Raises
    ------
    UsageError
        The engine is unknown, the network is too large, or rest is not stable.
    SimulationError
        The engine is not installed, or it failed.

    Warns
    -----
    UserWarning
        The fast variables do not restart, and the cycles are too short for the short-term process to decay. Or an
        increment of the long-term process is larger than the one before.
    """
    parameters = parameters or SimulationParameters()
    geometry, job = prepare(parameters, model)
    solution = integrate(job, engine, progress)
    sources = sources_to_store(geometry.shape)
    traces = build_traces(parameters, engine, geometry, job, solution, sources, *measure_influences(parameters, job))
    check_increments(traces)
    return traces


def prepare(parameters: SimulationParameters, model: Model | None = None) -> tuple[Geometry, Job]:
    """Build the geometry and the job for an engine; raises and warns as `simulate`.

    `model` replaces the form of `parameters`. Its stability is not checked, because the check is for the rate model.
    """
    network, protocol = parameters.network, parameters.protocol
    geometry = build_geometry(network)
    coupling = build_coupling(geometry, network)
    if model is None:
        model = parameters.form.model(network.presynaptic_neurons)
        check_stability(network, parameters.form, parameters.model, protocol, coupling)
    intervals = build_intervals(protocol, *network.sizes)
    interval = parameters.recording.recording_interval
    return geometry, Job(model, parameters.model, coupling, intervals, interval, parameters.solver)


def measure_influences(parameters: SimulationParameters, job: Job) -> tuple[Array, Array | None]:
    """The influence (source, post, pre) at rest, and that in the steady state under the mean drive of a stimulus.

    The second is None if nothing is driven in the first cycle, or if no steady state was found under the drive.

    Raises
    ------
    SimulationError
        No steady state was found at rest.
    """
    given = job.model, parameters.model, job.coupling, sources_to_store(job.coupling.shape)
    rest = measure_influence(*given)
    drive = first_drive(job.intervals, parameters.protocol.cycle_duration)
    if drive is None:
        return rest, None
    try:
        return rest, measure_influence(*given, drive)
    except SimulationError:
        # Optional: the model takes the influence at rest, so a run does not fail without this one.
        return rest, None


def check_increments(traces: xr.Dataset) -> None:
    """Warn if the mean long-term process grew more in a cycle than in the cycle before."""
    ends = mean_over_synapses(traces["long_term_process"].sel(time=traces["cycle_end"].values))
    increments = np.diff(ends, prepend=0.0)
    grown = np.flatnonzero(np.diff(increments) > NEGLIGIBLE_INCREMENT * np.abs(increments).max())
    if grown.size:
        first = int(grown[0])
        warnings.warn(
            f"the long-term process grew by {increments[first + 1]:.4g} in cycle {first + 2} after "
            f"{increments[first]:.4g} in cycle {first + 1}, so that retention factors do not decrease; "
            "lengthen the cycle, restart the fast variables, lower long_term_feedback, or repeat the same stimulus",
            stacklevel=3,
        )
