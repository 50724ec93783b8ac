"""Simulate a network of neurons and an astrocyte, and keep its traces.

    traces = simulate(SimulationParameters().override({"layout": "random"}))
    write_traces(traces, Path("traces.nc"))

`rate_model` holds the equations; `parameters` every number, `presets` sets of them; `stimuli` the protocols; `engines`
the programs that integrate; `traces` the file.
"""

from astro_sim.batch import simulate_batch
from astro_sim.engines import ENGINES
from astro_sim.equations import Model, Place, Variable
from astro_sim.errors import SimulationError
from astro_sim.parameters import PRESETS, SimulationParameters, load_preset
from astro_sim.simulate import simulate
from astro_sim.streaming import has_checkpoint, simulate_to_file
from astro_sim.traces import content_digest, open_traces, read_traces, write_traces

__all__ = [
    "ENGINES",
    "PRESETS",
    "Model",
    "Place",
    "SimulationError",
    "SimulationParameters",
    "Variable",
    "content_digest",
    "has_checkpoint",
    "load_preset",
    "open_traces",
    "read_traces",
    "simulate",
    "simulate_batch",
    "simulate_to_file",
    "write_traces",
]
