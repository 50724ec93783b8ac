"""Simulate a network of neurons and an astrocyte, and keep its traces.

    traces = simulate(SimulationParameters().override({"layout": "random"}))
    write_traces(traces, Path("traces.nc"))

`rate_model` holds the equations; `parameters` every number, `presets` sets of them; `stimuli` the protocols; `engines`
the programs that integrate; `traces` the file. `__init__.pyi` lists the names; they load on first use, so that reading
traces loads no solver.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
