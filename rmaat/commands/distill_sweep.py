"""`rmaat distill sweep`: how the tables move when the parameters of the simulation do."""

import argparse
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmaat.base.errors import UsageError
from rmaat.base.progress import Bar
from rmaat.base.text import table
from rmaat.commands.shared import add_out, assignment, new_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from astro_sim.sweep import Design, Workers
    from distill.inverse.sweep import RateModelMeasure, SpikingModelMeasure

SUMMARY = "Vary parameters of the simulation and distil every point"
EXAMPLE = (
    "  rmaat distill sweep --vary coupling_strength=0.01:0.1:10 --vary layout=line,random\n"
    "  rmaat distill sweep --random 1000 --vary long_term_time_constant=50:400:log --vary cycle_duration=30:100\n\n"
    "A grid takes low:high:count or single values; --random takes low:high, or single values; :log at the end means\n"
    "even in the logarithm. Points that are done are kept in a hidden folder beside the file: after an interrupt the\n"
    "same command goes on. A point that fails is NaN, with its reason in the variable message."
)
PERCENTILES = (0, 5, 50, 95, 100)
"""Shares of the points, whose largest value is printed for each quantity."""
COMMONEST = 3
"""Reasons of failures that are printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat distill sweep`."""
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="a parameter of rmaat simulate and its values; once for each parameter",
    )
    parser.add_argument("--random", type=int, metavar="N", help="N random points in place of a grid")
    parser.add_argument(
        "--method", default="latin_hypercube", help="latin_hypercube or sobol [default: latin_hypercube]"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random points [default: 0]")
    parser.add_argument("--model", choices=("rate", "biophysical"), default="rate", help="as of rmaat simulate")
    parser.add_argument("--preset", help="of the rate model, around which parameters vary [default: paper_default]")
    parser.add_argument("--parameters", type=Path, metavar="FILE", help="YAML around which parameters vary")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change one for all points")
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=[4, 8, 16], metavar="T", help="segments [default: 4 8 16]"
    )
    parser.add_argument("--exponent-range-start", type=float, default=0.5, help="as of rmaat distill [default: 0.5]")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="processes on this machine; 0: this process alone [default: one for each core]",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="a Dask scheduler, tcp://host:port, in place of --workers; needs the extra sweep",
    )
    add_out(parser, "sweep.nc", "sweep, an xarray dataset as NetCDF")


def run(options: argparse.Namespace) -> None:
    """Run the sweep and write its dataset."""
    from distill.inverse.sweep import rank_correlations, summary, sweep, varied, write_sweep

    base, measure = _measured(options)
    design, workers = _design(options), _workers(options)
    out = new_file(options.out, options)
    folder = out.with_name(f".{out.name}.parts")
    with Bar("sweep") as progress:
        dataset = sweep(base, design, measure, folder, workers, progress)
    write_sweep(dataset, out)
    shutil.rmtree(folder, ignore_errors=True)
    _report_quantities(summary(dataset))
    _report_correlations(rank_correlations(dataset))
    print(f"{out}: {dataset.sizes['point']} points over {', '.join(varied(dataset))}")
    _report_failures(dataset)


def _measured(options: argparse.Namespace) -> "tuple[Any, RateModelMeasure | SpikingModelMeasure]":
    """The parameters around which others vary, and what simulates and distils them."""
    from distill import DistillParameters
    from distill.inverse.sweep import Distillation, RateModelMeasure, SpikingModelMeasure

    parameters = DistillParameters(exponent_range_start=options.exponent_range_start)
    distillation = Distillation(tuple(sorted(set(options.lengths))), parameters)
    base: Any
    measure: RateModelMeasure | SpikingModelMeasure
    if options.model == "rate":
        from astro_sim import load_preset

        base, measure = load_preset(options.preset or "paper_default"), RateModelMeasure(distillation)
    else:
        from astro_sim.biophysics.spiking.parameters import BiophysicalParameters

        if options.preset:
            raise UsageError(
                f"preset {options.preset} is of the rate model; leave --preset out for the biophysical model"
            )
        base, measure = BiophysicalParameters(), SpikingModelMeasure(distillation)
    if options.parameters:
        base = base.load(options.parameters, base)
    return base.override(dict(map(assignment, options.set))), measure


def _design(options: argparse.Namespace) -> "Design":
    from astro_sim.sweep import GridDesign, RandomDesign, parse_axes

    axes = parse_axes(options.vary)
    if options.random is None:
        return GridDesign(axes)
    return RandomDesign(axes, options.random, options.method, options.seed)


def _workers(options: argparse.Namespace) -> "Workers":
    from astro_sim.sweep import Cluster, InProcess, LocalProcesses

    if options.cluster:
        return Cluster(options.cluster)
    if options.workers < 0:
        raise UsageError(f"--workers is {options.workers}; give a number of processes, or 0 for this one alone")
    return LocalProcesses(options.workers) if options.workers else InProcess()


def _report_quantities(quantities: "dict[str, NDArray[np.float64]]") -> None:
    import numpy as np

    sound = {label: values[np.isfinite(values)] for label, values in quantities.items()}
    rows = [
        (label, *(f"{share:.3f}" for share in np.percentile(values, PERCENTILES)))
        for label, values in sound.items()
        if values.size
    ]
    print(table(rows, ("quantity", *(f"{percentile} %" for percentile in PERCENTILES))) + "\n")


def _report_correlations(correlations: dict[str, dict[str, float]]) -> None:
    if not correlations:
        return
    labels = list(next(iter(correlations.values())))
    rows = [(name, *(f"{own[label]:+.2f}" for label in labels)) for name, own in correlations.items()]
    print("partial rank correlation with each quantity:")
    print(table(rows, ("parameter", *labels)))


def _report_failures(dataset: Any) -> None:
    reasons = [str(message) for message in dataset["message"].values if message]
    if not reasons:
        print("all points are whole")
        return
    print(f"{len(reasons)} points lack values; message says why at each, for example:")
    for reason in list(dict.fromkeys(reasons))[:COMMONEST]:
        print(f"  {reason}")
