"""From parameters to traces."""

import xarray as xr

from astro_sim.engines import integrate
from astro_sim.engines.job import Job
from astro_sim.equations.influence import measure_influence
from astro_sim.equations.model import Model
from astro_sim.equations.stability import check_increments, check_stability
from astro_sim.network.coupling import build_coupling, sources_to_store
from astro_sim.network.geometry import Geometry, build_geometry
from astro_sim.parameters import SimulationParameters
from astro_sim.protocol import build_intervals
from astro_sim.runs.traces import build_traces
from rmaat.base.progress import Progress, ignore_progress


def simulate(
    parameters: SimulationParameters | None = None,
    engine: str = "scipy",
    *,
    model: Model | None = None,
    progress: Progress = ignore_progress,
) -> xr.Dataset:
    """Run a model and return its traces, as `astro_sim.runs.traces` describes them.

    Parameters
    ----------
    parameters : SimulationParameters, optional
        Without them the defaults: 3 x 3 neurons, six cycles of 50 s.
    engine : str
        A name in `astro_sim.ENGINES`.
    model : Model, optional
        Equations of your own, with the rate model's variables, in place of `parameters.form`; docs/simulator.md.
    progress : callable, optional
        Told the fraction done, in [0, 1].

    Raises
    ------
    UsageError
        No engine has that name, the network is too large, or rest is not stable.
    SimulationError
        The engine is not installed or failed.

    Warns
    -----
    UserWarning
        Without restarts, cycles are too short for the short-term process to forget; or the increments of the long-term
        process did not decrease from cycle to cycle.
    """
    parameters = parameters or SimulationParameters()
    geometry, job = prepare(parameters, model)
    solution = integrate(job, engine, progress)
    sources = sources_to_store(geometry.shape)
    influence = measure_influence(job.model, parameters.model, job.coupling, sources)
    traces = build_traces(parameters, engine, geometry, job, solution, sources, influence)
    check_increments(traces)
    return traces


def prepare(parameters: SimulationParameters, model: Model | None = None) -> tuple[Geometry, Job]:
    """What an engine needs to run `model`, or else the form that `parameters` give; raises and warns as `simulate`."""
    network = parameters.network
    geometry = build_geometry(network)
    coupling = build_coupling(geometry, network)
    if model is None:
        model = parameters.form.model(network.presynaptic_neurons)
        check_stability(parameters, coupling)
    intervals = build_intervals(parameters.protocol, network)
    interval = parameters.recording.recording_interval
    return geometry, Job(model, parameters.model, coupling, intervals, interval, parameters.solver)
