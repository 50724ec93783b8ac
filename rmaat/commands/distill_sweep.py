"""`rmaat distill sweep`: measure how the tables depend on the parameters of the simulation."""

import argparse
import dataclasses
import math
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rmaat.base.errors import UsageError
from rmaat.base.progress import Bar
from rmaat.base.text import decimal, table
from rmaat.commands.shared import add_json, add_out, new_file, print_json
from rmaat.commands.simulation_options import add_parameters, assignments, starting_parameters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from xarray import Dataset

    from astro_sim.sweep import Design, Workers
    from distill.inverse.sobol import Indices
    from distill.inverse.sweep import RateModelMeasure, SpikingModelMeasure

SUMMARY = "Vary parameters of the simulation, simulate every combination and distil it"
EXAMPLE = (
    "  rmaat distill sweep --vary coupling_strength=0.01:0.1:10 --vary layout=line,random\n"
    "  rmaat distill sweep --random 1000 --vary long_term_time_constant=50:400:log --vary cycle_duration=30:100\n\n"
    "Values for a grid: low:high:count, or a list. Values for --random: low:high, or a list. :log at the end spaces\n"
    "them evenly in the logarithm. Finished points are kept in a hidden folder beside the file: after an interrupt,\n"
    "the same command continues. A point that fails is stored as NaN, with the reason in the variable message."
)
PERCENTILES = (0, 5, 50, 95, 100)
"""Percentiles over the points that are printed for each quantity."""
REASONS = 3
"""Number of failure reasons that are printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat distill sweep`."""
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="parameter of rmaat simulate and its values; repeat for more parameters",
    )
    parser.add_argument("--random", type=int, metavar="N", help="draw N random points instead of a grid")
    parser.add_argument(
        "--method",
        default="latin_hypercube",
        help="how --random draws its points: latin_hypercube or sobol [default: latin_hypercube]",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the random points [default: 0]")
    parser.add_argument(
        "--model",
        choices=("rate", "biophysical"),
        default="rate",
        help="model to simulate, as in rmaat simulate [default: rate]",
    )
    add_parameters(parser)
    parser.add_argument(
        "--lengths",
        type=int,
        nargs="+",
        default=[4, 8, 16],
        metavar="T",
        help="sequence lengths in segments [default: 4 8 16]",
    )
    parser.add_argument("--exponent-range-start", type=float, default=0.5, help="as in rmaat distill [default: 0.5]")
    parser.add_argument(
        "--workers",
        type=int,
        help="number of worker processes; 0 uses this process alone [default: one per core]",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="use a Dask scheduler, tcp://host:port, instead of --workers; needs the extra sweep",
    )
    add_json(parser)
    add_out(parser, "sweep.nc", "file for the results, an xarray dataset as NetCDF")


def run(options: argparse.Namespace) -> None:
    """Run the sweep and write its dataset."""
    from distill.inverse.sobol import variance_shares
    from distill.inverse.sweep import sweep
    from distill.inverse.sweep_file import varied, write_sweep

    base, measure = _measured(options)
    design, workers = _design(options), _workers(options)
    out = new_file(options.out, options)
    folder = out.with_name(f".{out.name}.parts")
    with Bar("sweep") as progress:
        dataset = sweep(base, design, measure, folder, workers, progress)
    write_sweep(dataset, out)
    shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print_json(_content(dataset))
        return
    _report_quantities(dataset)
    _report_correlations(dataset)
    _report_shares(variance_shares(dataset))
    print(f"{out}: {dataset.sizes['point']} points over {', '.join(varied(dataset))}")
    _report_failures(dataset)


def _measured(options: argparse.Namespace) -> "tuple[Any, RateModelMeasure | SpikingModelMeasure]":
    """The parameters at the centre of the sweep, and the function that simulates and distils a point."""
    from distill import DistillParameters
    from distill.inverse.sweep import Distillation, RateModelMeasure, SpikingModelMeasure

    parameters = DistillParameters(exponent_range_start=options.exponent_range_start)
    distillation = Distillation(tuple(sorted(set(options.lengths))), parameters)
    measure = RateModelMeasure if options.model == "rate" else SpikingModelMeasure
    return starting_parameters(options).override(assignments(options.set)), measure(distillation)


def _design(options: argparse.Namespace) -> "Design":
    from astro_sim.sweep import GridDesign, RandomDesign, parse_axes

    axes = parse_axes(options.vary)
    if options.random is None:
        return GridDesign(axes)
    return RandomDesign(axes, options.random, options.method, options.seed)


def _workers(options: argparse.Namespace) -> "Workers":
    from astro_sim.sweep import Cluster, InProcess, LocalProcesses
    from rmaat.base.workers import core_count

    if options.cluster:
        return Cluster(options.cluster)
    workers = core_count() if options.workers is None else options.workers
    if workers < 0:
        raise UsageError(f"--workers is {workers}; give a number of processes, or 0 for this process")
    return LocalProcesses(workers) if workers else InProcess()


def _content(dataset: "Dataset") -> dict[str, Any]:
    """What the command prints, as JSON has it."""
    from distill.inverse.sobol import variance_shares
    from distill.inverse.sweep_file import rank_correlations

    return {
        "points": dataset.sizes["point"],
        "percentiles": {label: dict(zip(PERCENTILES, values, strict=True)) for label, values in _percentiles(dataset)},
        "rank_correlations": rank_correlations(dataset),
        "sobol_indices": {label: dataclasses.asdict(own) for label, own in variance_shares(dataset).items()},
        "failures": _reasons(dataset),
    }


def _percentiles(dataset: "Dataset") -> "Iterator[tuple[str, NDArray[np.float64]]]":
    import numpy as np

    from distill.inverse.sweep_file import summary

    for label, values in summary(dataset).items():
        finite = values[np.isfinite(values)]
        if finite.size:
            yield label, np.percentile(finite, PERCENTILES).astype(float)


def _report_quantities(dataset: "Dataset") -> None:
    rows = [(label, *(decimal(value, 4) for value in values)) for label, values in _percentiles(dataset)]
    print(table(rows, ("quantity", *(f"{percentile} %" for percentile in PERCENTILES))) + "\n")


def _report_correlations(dataset: "Dataset") -> None:
    from distill.inverse.sweep_file import rank_correlations, summary, varies

    still = [label for label, values in summary(dataset).items() if not varies(values)]
    if still:
        print(f"the same at every point: {', '.join(still)}")
    correlations = rank_correlations(dataset)
    labels = [label for label in next(iter(correlations.values()), ()) if label not in still]
    if labels:
        rows = [(name, *(_signed(own[label]) for label in labels)) for name, own in correlations.items()]
        print("partial rank correlation with each quantity (-: cannot be determined):")
        print(table(rows, ("parameter", *labels)))


def _signed(correlation: float) -> str:
    return "-" if math.isnan(correlation) else f"{correlation:+.2f}"


def _reasons(dataset: "Dataset") -> list[str]:
    return [str(message) for message in dataset["message"].values if message]


def _report_shares(found: "dict[str, Indices]") -> None:
    if not found:
        return
    names = list(next(iter(found.values())).first)
    rows = [(name, *(f"{own.first[name]:.2f} {own.total[name]:.2f}" for own in found.values())) for name in names]
    print("\nSobol indices, alone and with interactions, by a surrogate through the points:")
    print(table(rows, ("parameter", *found)))
    print(f"R^2 of the surrogate: {', '.join(f'{label} {own.r_squared:.3f}' for label, own in found.items())}\n")


def _report_failures(dataset: "Dataset") -> None:
    reasons = _reasons(dataset)
    if not reasons:
        print("no point failed")
        return
    print(f"{len(reasons)} points lack values; the variable message has the reasons, for example:")
    for reason in list(dict.fromkeys(reasons))[:REASONS]:
        print(f"  {reason}")
