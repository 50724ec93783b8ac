"""Cost of the coupling sum over the number of synapses, and of runs beside the dense form and beside other engines.

python -m benchmarks.coupling [--nest-python PYTHON] [--out benchmarks/results/coupling.json]

The dense form of a large run is extrapolated: a dense application measured on a smaller network grows with synapses²,
there are as many as counted in one cycle, times cycles, and everything else costs what it cost. Both solvers take the
large network at tolerances that leave about the same error, which is measured over one cycle against a much finer run;
activity that has decayed is not followed below the absolute one, as the default would. All run in one thread.
`benchmarks.outside` says how Brian2 and NEST run.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

# Before NumPy starts its threads: every form gets one, and a product of matrices does not wait for other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from astro_sim import SimulationParameters, simulate
from astro_sim.engines import integrate
from astro_sim.engines.job import Solution
from astro_sim.network.coupling import (
    CityBlockCoupling,
    Coupling,
    DenseCoupling,
    FourierCoupling,
    KernelCoupling,
    LineCoupling,
)
from astro_sim.network.geometry import build_geometry
from astro_sim.parameters import NetworkParameters
from astro_sim.runs.simulate import prepare
from benchmarks.outside import OutsideRun, beside_brian2, beside_nest
from benchmarks.report import RESULTS, write_report
from benchmarks.timing import seconds_of
from rmaat.base.arrays import Array
from rmaat.base.progress import ignore_progress
from rmaat.base.provenance import processor
from rmaat.base.text import table

KINDS: dict[str, tuple[type[KernelCoupling], str, str]] = {
    "line scan": (LineCoupling, "line", "euclidean"),
    "city-block scan": (CityBlockCoupling, "grid", "city_block"),
    "FFT": (FourierCoupling, "grid", "euclidean"),
}
SIDES, DENSE_SIDES = (16, 32, 64, 128, 256, 512, 1024), (16, 32, 64)
EXTRAPOLATED_SIDES = (32, 64)
LARGE, CYCLES = 128, 32
SOLVERS: Mapping[str, Mapping[str, float]] = {
    "lsoda": {"relative_tolerance": 1e-8, "absolute_tolerance": 1e-12},
    "dop853": {"relative_tolerance": 1e-10, "absolute_tolerance": 1e-14},
}
FINEST = {"method": "lsoda", "relative_tolerance": 1e-12, "absolute_tolerance": 1e-16}
BRIAN2_SIDES = (3, 8, 16)
LEAST_SECONDS, REPEATS = 0.05, 5
WANTED_EXPONENT, WANTED_LARGE, WANTED_RATIO, WANTED_SMALL = 1.1, 60.0, 100.0, 0.5


@dataclass(frozen=True)
class LargeRun:
    """A run of the large network, and what its dense form would take."""

    kind: str
    solver: str
    neurons: int
    cycles: int
    seconds: float
    applications: int
    application_seconds: float
    dense_application_seconds: dict[int, float]
    """extrapolated from networks of these sides"""
    difference: float
    """largest, of any variable in the first cycle, from the finest run"""

    def ratio_of_runs(self, side: int) -> float:
        """How many times longer the run with dense applications takes."""
        return self.dense_seconds(side) / self.seconds

    def dense_seconds(self, side: int) -> float:
        """What the run with dense applications takes."""
        more = self.dense_application_seconds[side] - self.application_seconds
        return self.seconds + self.applications * more


class Counted(Coupling):
    """A coupling that counts its applications."""

    def __init__(self, coupling: Coupling) -> None:
        self.shape, self.applications = coupling.shape, 0
        self._coupling = coupling

    def apply(self, signal: Array) -> Array:
        """As `Coupling.apply`, counted."""
        self.applications += 1
        return self._coupling.apply(signal)

    def between(self, source: tuple[int, int]) -> Array:
        """As `Coupling.between`."""
        return self._coupling.between(source)


def main() -> None:
    """Measure one after the other, print tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nest-python", default=sys.executable, help="a Python that has NEST [default: this one]")
    parser.add_argument("--out", type=Path, default=RESULTS / "coupling.json")
    options = parser.parse_args()
    small = measure_small()
    costs = {kind: {side: _application_seconds(_kind(kind, side)) for side in SIDES} for kind in KINDS}
    costs["dense"] = {side: _application_seconds(_dense(side)) for side in DENSE_SIDES}
    exponents = {kind: fit_exponent(costs[kind]) for kind in KINDS}
    _print_costs(costs, exponents)
    runs = [run for kind in ("line scan", "FFT") for run in measure_large(kind, costs)]
    outside = [*map(beside_brian2, BRIAN2_SIDES), *beside_nest(options.nest_python)]
    _print_runs(runs, outside, small)
    content = {
        "seconds_per_application": costs,
        "exponents": exponents,
        "large_runs": [
            asdict(run)
            | dict(SOLVERS[run.solver])
            | {"ratio_of_runs": {side: run.ratio_of_runs(side) for side in EXTRAPOLATED_SIDES}}
            for run in runs
        ],
        "outside_engines": [asdict(run) for run in outside],
        "small_run_seconds": small,
    }
    write_report(options.out, "python -m benchmarks.coupling", processor(), ("numpy", "scipy"), content)


def fit_exponent(seconds: dict[int, float]) -> float:
    """The power of the number of synapses, side², with which `seconds` grow; a line through their logarithms."""
    sides = np.array(list(seconds), dtype=float)
    return float(np.polyfit(2 * np.log(sides), np.log(list(seconds.values())), 1)[0])


def measure_small() -> float:
    """Seconds of the default run, 3 x 3 neurons and six cycles, from parameters to traces."""
    return min(seconds_of(simulate) for _ in range(REPEATS))


def measure_large(kind: str, costs: dict[str, dict[int, float]]) -> list[LargeRun]:
    """Run many cycles of a large network with each solver; the dense form is extrapolated from each dense cost."""
    _, layout, measure = KINDS[kind]
    network = {"presynaptic_neurons": LARGE, "postsynaptic_neurons": LARGE, "layout": layout}
    others = {"distance_measure": measure, "coupling_given_by": "spectral_radius", "recording_interval": 25.0}
    parameters = SimulationParameters().override(network | others)
    cycle = parameters.protocol.cycle_duration
    _, finest = _first_cycle(parameters.override({"run_duration": cycle, **FINEST}))
    dense = {side: costs["dense"][side] * (LARGE / side) ** 4 for side in EXTRAPOLATED_SIDES}
    runs = []
    for solver, tolerances in SOLVERS.items():
        chosen = parameters.override({"run_duration": CYCLES * cycle, "method": solver, **tolerances})
        applications, first = _first_cycle(chosen.override({"run_duration": cycle}))
        seconds = seconds_of(lambda chosen=chosen: simulate(chosen))
        difference = max(float(np.abs(first.values[name] - finest.values[name]).max()) for name in finest.values)
        runs.append(
            LargeRun(kind, solver, LARGE, CYCLES, seconds, CYCLES * applications, costs[kind][LARGE], dense, difference)
        )
    return runs


def _first_cycle(parameters: SimulationParameters) -> tuple[int, Solution]:
    """How often a cycle applies the coupling, and its solution."""
    _, job = prepare(parameters)
    coupling = Counted(job.coupling)
    solution = integrate(dataclasses.replace(job, coupling=coupling), "scipy", ignore_progress)
    return coupling.applications, solution


def _kind(kind: str, side: int) -> Coupling:
    form, layout, measure = KINDS[kind]
    network = NetworkParameters(
        presynaptic_neurons=side, postsynaptic_neurons=side, layout=layout, distance_measure=measure
    )
    return form(build_geometry(network), network.coupling_strength, network.coupling_scale)


def _dense(side: int) -> Coupling:
    """The tensor of the grid, of any size."""
    kernel = _kind("FFT", side)
    tensor = np.empty((side,) * 4)
    for source in np.ndindex(side, side):
        # T is symmetric, so that rows may be written for columns.
        tensor[source] = kernel.between(source)
    return DenseCoupling(tensor)


def _application_seconds(coupling: Coupling) -> float:
    """The shortest mean over several applications."""
    signal = np.random.default_rng(0).normal(size=coupling.shape)
    count = max(1, round(LEAST_SECONDS / seconds_of(lambda: coupling.apply(signal))))
    repeats = (seconds_of(lambda: [coupling.apply(signal) for _ in range(count)]) for _ in range(REPEATS))
    return min(repeats) / count


def _print_costs(costs: dict[str, dict[int, float]], exponents: dict[str, float]) -> None:
    rows = [
        (f"{side} x {side}", f"{side**2}", *(f"{cost[side]:.1e} s" if side in cost else "" for cost in costs.values()))
        for side in SIDES
    ]
    rows.append(("exponent", "", *(f"{exponents[kind]:.2f}" if kind in exponents else "" for kind in costs)))
    print(table(rows, ("neurons", "synapses", *costs)))
    print(f"wanted: an exponent of at most {WANTED_EXPONENT}\n")


def _print_runs(runs: list[LargeRun], outside: list[OutsideRun], small: float) -> None:
    side = min(EXTRAPOLATED_SIDES)
    dense = f"dense form, from {side} x {side}"
    rows = [
        (
            f"{run.neurons} x {run.neurons}, {run.cycles} cycles, {run.kind}, {run.solver}",
            f"{run.seconds:.1f} s",
            dense,
            f"{run.dense_seconds(side):.0f} s",
            f"{run.ratio_of_runs(side):.0f}",
            f"{run.difference:.0e} from a finer run",
        )
        for run in runs
    ]
    rows += [run.row() for run in outside]
    print(table(rows, ("run", "SciPy", "beside", "time", "ratio", "largest difference")))
    print(f"wanted of the large runs: at most {WANTED_LARGE:g} s and a ratio of at least {WANTED_RATIO:g}")
    print(f"3 x 3, six cycles: {small:.2f} s; wanted: at most {WANTED_SMALL:g} s\n")


if __name__ == "__main__":
    main()
