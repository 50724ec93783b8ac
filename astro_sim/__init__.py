"""Simulate a network of neurons and an astrocyte, and keep its traces.

    traces = simulate(SimulationParameters().override({"layout": "random"}))
    write_traces(traces, Path("traces.nc"))

`rate_model` holds the equations; `parameters` every number; `engines` the programs that integrate; `traces` the file.
"""

from astro_sim.engines import ENGINES
from astro_sim.errors import SimulationError
from astro_sim.parameters import SimulationParameters
from astro_sim.simulate import simulate
from astro_sim.traces import content_digest, read_traces, write_traces

__all__ = [
    "ENGINES",
    "SimulationError",
    "SimulationParameters",
    "content_digest",
    "read_traces",
    "simulate",
    "write_traces",
]
