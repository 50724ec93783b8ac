"""`rmaat simulate`: simulate a neuron-astrocyte network and write its traces."""

import argparse
import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmaat.base.errors import UsageError
from rmaat.base.files import FileError, discard
from rmaat.base.progress import Bar, Progress
from rmaat.base.records import Quantity
from rmaat.base.text import counted
from rmaat.commands.settings import add_show, show
from rmaat.commands.shared import add_out, new_file
from rmaat.commands.simulation_options import add_parameters, assignments, starting_parameters

if TYPE_CHECKING:
    from xarray import Dataset

    from astro_sim.biophysics.spiking.parameters import BiophysicalParameters

Simulator = Callable[[Any, Path, Progress], None]
"""Simulates with the given parameters, writes the traces to a file and reports progress."""

SUMMARY = "Simulate a neuron-astrocyte network"
EXAMPLE = (
    "  rmaat simulate --engine brian2 --cycles 6 --set coupling_strength=0.1 --out runs/sim.nc\n"
    "  rmaat simulate --preset biological --out runs/biological.nc\n"
    "  rmaat simulate --model biophysical --trials 5 --out runs/trials.nc\n"
    "  rmaat simulate --preset biological --parameters theta.yaml --cycles 8 --out runs/theta.nc\n"
    "  rmaat simulate --cycles 32 --set presynaptic_neurons=128 --set postsynaptic_neurons=128 --set layout=grid \\\n"
    "                 --set coupling_given_by=spectral_radius --out runs/large.nc    (--resume continues it)\n\n"
    "theta.yaml, for theta bursts instead of a steady drive (docs/simulator.md lists all protocols):\n"
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
        help="rate: rate equations; biophysical: spiking neurons with calcium, IP3 and synaptic release, simulated by "
        "Brian2 [default: rate]",
    )
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="runs of the biophysical model, stored in one file; each run uses the next noise_seed [default: 1]",
    )
    parser.add_argument(
        "--engine", help="solver: scipy (the reference) or brian2 [default: scipy; biophysical model: brian2]"
    )
    parser.add_argument("--cycles", type=int, help="number of stimulus cycles [default: as in the preset]")
    add_parameters(parser)
    add_show(parser)
    parser.add_argument("--save-parameters", type=Path, metavar="FILE", help="write the parameters to a YAML file")
    parser.add_argument(
        "--resume", action="store_true", help="continue an interrupted run of the same command (engine scipy only)"
    )
    add_out(parser, "sim.nc", "file for the traces, an xarray dataset as NetCDF")


def run(options: argparse.Namespace) -> None:
    """Simulate and write traces."""
    import numpy as np

    from astro_sim import open_traces
    from astro_sim.runs.traces import mean_over_synapses

    engine = options.engine or ("scipy" if options.model == "rate" else "brian2")
    simulate = _simulator(options, engine)
    parameters = _parameters(options)
    if options.save_parameters:
        parameters.save(new_file(options.save_parameters, options))
    if options.show:
        show(parameters, options)
        return
    out = new_file(options.out, options)
    with Bar("simulate") as progress:
        simulate(parameters, out, progress)
    with open_traces(out) as traces:
        ends = mean_over_synapses(traces["long_term_process"].sel(time=traces["cycle_end"].values))
    ends = np.atleast_2d(ends)
    trials = f" in each of {len(ends)} trials" if len(ends) > 1 else ""
    print(f"{out}: {counted(ends.shape[1], 'cycle')}{trials} by {engine}")
    print("mean long-term process at the cycles' ends: " + " ".join(f"{value:.3f}" for value in ends.mean(axis=0)))


def _parameters(options: argparse.Namespace) -> Any:
    parameters = starting_parameters(options)
    given = assignments(options.set)
    if options.cycles is not None:
        cycle = str(given.get("cycle_duration", parameters.protocol.cycle_duration)).removesuffix(" s")
        bounds = type(parameters.protocol).quantity("run_duration")
        given["run_duration"] = str(_duration(options.cycles, _decimal("cycle_duration", cycle), bounds))
    return parameters.override(given)


def _simulator(options: argparse.Namespace, engine: str) -> Simulator:
    """The function that simulates the chosen model; raises `UsageError` for options that the model lacks."""
    from astro_sim import simulate

    if options.trials is not None and options.trials < 1:
        raise UsageError(f"--trials is {options.trials}; it must be 1 or more")
    if options.resume and engine != "scipy":
        raise UsageError(f"engine {engine} writes no checkpoints, so its runs cannot be resumed; leave --resume out")
    if options.model == "rate":
        if options.trials is not None:
            raise UsageError("the rate model has no noise, so all trials would be equal; leave --trials out")
        if engine == "scipy":
            return partial(_simulate_to_file, options)
        return _written(lambda parameters, progress: simulate(parameters, engine, progress=progress))
    if engine != "brian2":
        raise UsageError(f"the biophysical model runs on engine brian2 only, not {engine}; leave --engine out")
    return _written(partial(_simulate_spiking, options.trials or 1))


def _simulate_spiking(trials: int, parameters: "BiophysicalParameters", progress: Progress) -> "Dataset":
    from astro_sim.biophysics.spiking.simulation import simulate_biophysical, simulate_trials

    if trials == 1:
        return simulate_biophysical(parameters, None, progress)
    first = parameters.solver.noise_seed
    return simulate_trials(parameters, range(first, first + trials), progress)


def _written(simulate: "Callable[[Any, Progress], Dataset]") -> Simulator:
    """A simulator that calls `simulate` and then writes all its traces."""
    from astro_sim import write_traces

    return lambda parameters, out, progress: write_traces(simulate(parameters, progress), out)


def _simulate_to_file(options: argparse.Namespace, parameters: Any, out: Path, progress: Progress) -> None:
    """Start a run or resume one; an interrupted run is discarded only with --overwrite."""
    from astro_sim import has_checkpoint, simulate_to_file

    interrupted = has_checkpoint(out)
    if options.resume and not interrupted:
        raise UsageError(f"there is no interrupted run of {out} to resume; leave --resume out")
    if interrupted and not options.resume:
        if not options.overwrite:
            raise FileError(
                f"a run of {out} was interrupted; continue it with --resume, or discard it with --overwrite"
            )
        discard(out)
    simulate_to_file(parameters, out, progress=progress)


def _duration(cycles: int, cycle: Decimal, bounds: Quantity) -> Decimal:
    """The length of a run of `cycles`, in s; Decimal, because 3 * 1.1 s as floats is 3.3000000000000003 s."""
    run = cycles * cycle
    if cycle > 0 and not bounds.low <= run <= bounds.high:
        fewest, most = max(1, math.ceil(bounds.low / float(cycle))), math.floor(bounds.high / float(cycle))
        raise UsageError(
            f"--cycles is {cycles}; with cycles of {float(cycle):g} s it must be between {fewest} and {most}"
        )
    return run


def _decimal(name: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise UsageError(f"{name} is {text!r}; it must be a number") from None
