"""Sweeps over parameters: designs, and a parallel runner that resumes after an interrupt.

    design = RandomDesign({"coupling_strength": Span(0.01, 0.1)}, count=100)
    dataset = run_sweep(SimulationParameters(), design, measure, Path("parts"), LocalProcesses(2))

docs/sweeps.md has a complete example.
"""

from astro_sim.sweep.design import Design, GridDesign, Listed, RandomDesign, Span, parse_axes
from astro_sim.sweep.runner import Each, Measure, run_sweep
from astro_sim.sweep.workers import Cluster, InProcess, LocalProcesses, Workers

__all__ = [
    "Cluster",
    "Design",
    "Each",
    "GridDesign",
    "InProcess",
    "Listed",
    "LocalProcesses",
    "Measure",
    "RandomDesign",
    "Span",
    "Workers",
    "parse_axes",
    "run_sweep",
]
