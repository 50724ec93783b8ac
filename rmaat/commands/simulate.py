"""`rmaat simulate`: simulate a network and write traces."""

import argparse
import functools
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmaat.commands.shared import add_out, assignment, describe, new_file
from rmaat.errors import UsageError
from rmaat.progress import Bar

if TYPE_CHECKING:
    from xarray import Dataset

    from astro_sim.biophysics.spiking_parameters import BiophysicalParameters
    from astro_sim.engines.job import Progress

SUMMARY = "Simulate a neuron-astrocyte network"
EXAMPLE = (
    "  rmaat simulate --engine brian2 --cycles 6 --set coupling_strength=0.1 --out runs/sim.nc\n"
    "  rmaat simulate --preset biological --out runs/biological.nc\n"
    "  rmaat simulate --model biophysical --trials 5 --out runs/trials.nc\n"
    "  rmaat simulate --preset biological --parameters theta.yaml --cycles 8 --out runs/theta.nc\n\n"
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
    add_out(parser, "sim.nc", "traces, an xarray dataset as NetCDF")


def run(options: argparse.Namespace) -> None:
    """Simulate and write traces."""
    from astro_sim import write_traces

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
        traces = simulate(parameters, progress)
    write_traces(traces, out)
    ends = traces["long_term_process"].sel(time=traces["cycle_end"].values)
    ends = ends.mean([dim for dim in ends.dims if dim != "time"])
    trials = f" in each of {traces.sizes['trial']} trials" if "trial" in traces.dims else ""
    print(f"{out}: {len(ends)} cycles{trials} by {engine}")
    print("mean long-term process at the cycles' ends: " + " ".join(f"{value:.3f}" for value in ends.values))


def _simulator(options: argparse.Namespace) -> "tuple[Any, Callable[[Any, Progress], Dataset], str]":
    """The parameters that the chosen model starts from, what runs them, and the engine's name."""
    from astro_sim import load_preset, simulate

    if options.trials is not None and options.trials < 1:
        raise UsageError(f"--trials is {options.trials}; it must be 1 or more")
    engine = options.engine or ("scipy" if options.model == "rate" else "brian2")
    if options.model == "rate":
        if options.trials is not None:
            raise UsageError("the rate model has no noise, so that trials would be equal; leave --trials out")
        parameters = load_preset(options.preset or "paper_default")
        return parameters, lambda parameters, progress: simulate(parameters, engine, progress=progress), engine
    if options.preset:
        raise UsageError(f"preset {options.preset} is of the rate model; leave --preset out for the biophysical model")
    if engine != "brian2":
        raise UsageError(f"the biophysical model runs on engine brian2 only, not {engine}; leave --engine out")
    from astro_sim.biophysics.spiking_parameters import BiophysicalParameters

    return BiophysicalParameters(), functools.partial(_simulate_spiking, options.trials or 1), engine


def _simulate_spiking(trials: int, parameters: "BiophysicalParameters", progress: "Progress") -> "Dataset":
    from astro_sim.biophysics.spiking import simulate_biophysical, simulate_trials

    if trials == 1:
        return simulate_biophysical(parameters, None, progress)
    first = parameters.solver.noise_seed
    return simulate_trials(parameters, range(first, first + trials), progress)


def _decimal(name: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise UsageError(f"{name} is {text!r}; it must be a number") from None
