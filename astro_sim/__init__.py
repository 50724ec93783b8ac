"""Simulate a network of neurons and an astrocyte, and write its traces to a file.

    traces = simulate(SimulationParameters().override({"layout": "random"}))
    write_traces(traces, Path("traces.nc"))

| part | subject |
| --- | --- |
| `protocol`, `stimuli` | the drive over time |
| `parameters`, `parameter_set`, `presets` | numbers with unit, bounds and source; full sets of them |
| `network` | positions of the synapses and the coupling between them |
| `equations` | the rate model, its right-hand side, its stability, the measured influence |
| `engines` | the solvers: SciPy and Brian2 |
| `runs` | whole simulations, and the traces file |
| `biophysics` | models of calcium, release and plasticity; the spiking network |
| `sweep`, `validation` | many parameter sets in parallel; comparison with published numbers |

`__init__.pyi` lists the public names. They load on first use, so a program that only reads traces loads no solver.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
