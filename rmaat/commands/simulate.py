"""`rmaat simulate`: simulate a network and write traces."""

import argparse
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmaat.base.errors import UsageError
from rmaat.base.files import FileError, discard
from rmaat.base.progress import Bar, Progress
from rmaat.commands.shared import add_out, assignment, describe, new_file

if TYPE_CHECKING:
    from xarray import Dataset

    from astro_sim.biophysics.spiking.parameters import BiophysicalParameters
    from rmaat.base.progress import Progress

Simulator = Callable[[Any, Path, "Progress"], None]
"""Runs parameters into a file, and tells its progress."""

SUMMARY = "Simulate a neuron-astrocyte network"
EXAMPLE = (
    "  rmaat simulate --engine brian2 --cycles 6 --set coupling_strength=0.1 --out runs/sim.nc\n"
    "  rmaat simulate --preset biological --out runs/biological.nc\n"
    "  rmaat simulate --model biophysical --trials 5 --out runs/trials.nc\n"
    "  rmaat simulate --preset biological --parameters theta.yaml --cycles 8 --out runs/theta.nc\n"
    "  rmaat simulate --cycles 32 --set presynaptic_neurons=128 --set postsynaptic_neurons=128 --set layout=grid \\\n"
    "                 --set coupling_given_by=spectral_radius --out runs/large.nc    (goes on with --resume)\n\n"
    "theta.yaml, for theta bursts in place of steady drive (docs/simulator.md has all protocols):\n"
    "  protocol:\n"
    "    kind: theta_bursts\n"
    "    trains_per_cycle: 3\n"
    "    train_interval: 10 s\n"
    "    presynaptic_pattern: [20, 12, 6]\n"
    "    postsynaptic_pattern: [15, 12, 7.5]"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rmaat simulate`."""
    parser.add_argument(
        "--model",
        choices=("rate", "biophysical"),
        default="rate",
        help="rate equations, or spiking neurons with calcium, IP3 and release in Brian2 [default: rate]",
    )
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="runs of the biophysical model, with noise_seed and those after it, into one file [default: 1]",
    )
    parser.add_argument("--engine", help="scipy (the reference) or brian2 [default: scipy; biophysical: brian2]")
    parser.add_argument(
        "--preset",
        help="of the rate model: biological, with time scales of astrocytes and 32 cycles [default: paper_default]",
    )
    parser.add_argument(
        "--cycles", type=int, help="cycles of the stimulus [default: those of the preset: 6 as the paper, or 32]"
    )
    parser.add_argument(
        "--parameters", type=Path, metavar="FILE", help="parameters as YAML; names left out are those of the preset"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change one parameter; --show lists their names",
    )
    parser.add_argument(
        "--show", action="store_true", help="print every parameter with unit, bounds and source, and stop"
    )
    parser.add_argument("--save-parameters", type=Path, metavar="FILE", help="write the parameters used as YAML")
    parser.add_argument(
        "--resume", action="store_true", help="go on with an interrupted run of the same command; engine scipy"
    )
    add_out(parser, "sim.nc", "traces, an xarray dataset as NetCDF")


def run(options: argparse.Namespace) -> None:
    """Simulate and write traces."""
    import numpy as np

    from astro_sim import open_traces
    from astro_sim.runs.traces import mean_over_synapses

    parameters, simulate, engine = _simulator(options)
    if options.parameters:
        parameters = parameters.load(options.parameters, parameters)
    assignments: dict[str, Any] = dict(map(assignment, options.set))
    if options.cycles is not None:
        cycle = str(assignments.get("cycle_duration", parameters.protocol.cycle_duration)).removesuffix(" s")
        # As decimal numbers: three cycles of 1.1 s are 3.3 s, and not the float beside it.
        assignments["run_duration"] = str(options.cycles * _decimal("cycle_duration", cycle))
    parameters = parameters.override(assignments)
    if options.save_parameters:
        parameters.save(new_file(options.save_parameters, options))
    if options.show:
        print(describe(parameters))
        return
    out = new_file(options.out, options)
    with Bar("simulate") as progress:
        simulate(parameters, out, progress)
    with open_traces(out) as traces:
        ends = mean_over_synapses(traces["long_term_process"].sel(time=traces["cycle_end"].values))
    ends = np.atleast_2d(ends)
    trials = f" in each of {len(ends)} trials" if len(ends) > 1 else ""
    print(f"{out}: {ends.shape[1]} cycles{trials} by {engine}")
    print("mean long-term process at the cycles' ends: " + " ".join(f"{value:.3f}" for value in ends.mean(axis=0)))


def _simulator(options: argparse.Namespace) -> tuple[Any, Simulator, str]:
    """The parameters that the chosen model starts from, what runs them into a file, and the engine's name."""
    from astro_sim import load_preset, simulate

    if options.trials is not None and options.trials < 1:
        raise UsageError(f"--trials is {options.trials}; it must be 1 or more")
    engine = options.engine or ("scipy" if options.model == "rate" else "brian2")
    if options.resume and engine != "scipy":
        raise UsageError(f"a run on engine {engine} has no checkpoint to go on from; leave --resume out")
    if options.model == "rate":
        if options.trials is not None:
            raise UsageError("the rate model has no noise, so that trials would be equal; leave --trials out")
        parameters = load_preset(options.preset or "paper_default")
        if engine == "scipy":
            return parameters, partial(_simulate_to_file, options), engine
        return (
            parameters,
            _written(lambda parameters, progress: simulate(parameters, engine, progress=progress)),
            engine,
        )
    if options.preset:
        raise UsageError(f"preset {options.preset} is of the rate model; leave --preset out for the biophysical model")
    if engine != "brian2":
        raise UsageError(f"the biophysical model runs on engine brian2 only, not {engine}; leave --engine out")
    from astro_sim.biophysics.spiking.parameters import BiophysicalParameters

    return BiophysicalParameters(), _written(partial(_simulate_spiking, options.trials or 1)), engine


def _simulate_spiking(trials: int, parameters: "BiophysicalParameters", progress: "Progress") -> "Dataset":
    from astro_sim.biophysics.spiking.simulation import simulate_biophysical, simulate_trials

    if trials == 1:
        return simulate_biophysical(parameters, None, progress)
    first = parameters.solver.noise_seed
    return simulate_trials(parameters, range(first, first + trials), progress)


def _written(simulate: "Callable[[Any, Progress], Dataset]") -> Simulator:
    """`simulate`, and then its traces to a file."""
    from astro_sim import write_traces

    return lambda parameters, out, progress: write_traces(simulate(parameters, progress), out)


def _simulate_to_file(options: argparse.Namespace, parameters: Any, out: Path, progress: "Progress") -> None:
    """Start anew, or go on where asked to; what an interrupted run has done is not thrown away unasked."""
    from astro_sim import has_checkpoint, simulate_to_file

    interrupted = has_checkpoint(out)
    if options.resume and not interrupted:
        raise UsageError(f"there is no interrupted run of {out} to go on with; leave --resume out")
    if interrupted and not options.resume:
        if not options.overwrite:
            raise FileError(f"a run of {out} was interrupted; go on with --resume, or discard it with --overwrite")
        discard(out)
    simulate_to_file(parameters, out, progress=progress)


def _decimal(name: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise UsageError(f"{name} is {text!r}; it must be a number") from None
