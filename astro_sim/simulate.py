"""From parameters to traces."""

import xarray as xr

from astro_sim.coupling import build_coupling, sources_to_store
from astro_sim.engines import integrate
from astro_sim.engines.job import Job, Progress
from astro_sim.geometry import build_geometry
from astro_sim.influence import measure_influence
from astro_sim.parameters import SimulationParameters
from astro_sim.protocol import build_intervals
from astro_sim.rate_model import RATE_MODEL
from astro_sim.stability import check_stability
from astro_sim.traces import build_traces


def simulate(
    parameters: SimulationParameters | None = None, engine: str = "scipy", *, progress: Progress | None = None
) -> xr.Dataset:
    """Run the rate model and return its traces, as `astro_sim.traces` describes them.

    Parameters
    ----------
    parameters : SimulationParameters, optional
        Without them the defaults: 3 x 3 neurons, six cycles of 50 s.
    engine : str
        A name in `astro_sim.ENGINES`.
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
        Without restarts, cycles are too short for the short-term process to forget.
    """
    parameters = parameters or SimulationParameters()
    network = parameters.network
    geometry = build_geometry(network)
    coupling = build_coupling(geometry, network)
    check_stability(parameters, coupling)
    job = Job(
        RATE_MODEL,
        parameters.model,
        coupling,
        build_intervals(parameters.protocol, network),
        parameters.recording.recording_interval,
        parameters.solver,
    )
    solution = integrate(job, engine, progress or (lambda _: None))
    sources = sources_to_store(geometry.shape)
    influence = measure_influence(RATE_MODEL, parameters.model, coupling, sources)
    return build_traces(parameters, engine, geometry, job, solution, sources, influence)
