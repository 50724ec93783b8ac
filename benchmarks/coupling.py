"""Measure the cost of the coupling sum over the number of synapses, and of runs against dense form, Brian2 and NEST.

python -m benchmarks.coupling [--nest-python PYTHON] [--out benchmarks/results/coupling.json]

- One application of each coupling operator, for 16 x 16 to 1024 x 1024 neurons, against the dense tensor.
- A run of 128 x 128 neurons over 32 cycles, with both solvers. Their tolerances are set to give about the same error,
  measured over one cycle against a much finer run. The absolute tolerance is above the default, so the solvers need no
  small steps for activity that has decayed.
- The same run with the dense form is extrapolated. One dense application, measured on a smaller network, grows with
  synapses². The number of applications is counted in one cycle and multiplied. All other costs stay.
- Small runs against Brian2 and NEST (`benchmarks.other_simulators`).

All runs use one thread.
"""

import dataclasses
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass

# NumPy reads this once, when it is imported. With more threads a matrix product would wait for other work.
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
from benchmarks.other_simulators import OutsideRun, beside_brian2, beside_nest
from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.timing import growth_exponent, seconds_of
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
GOAL_EXPONENT, GOAL_LARGE, GOAL_RATIO, GOAL_SMALL = 1.1, 60.0, 100.0, 0.5


@dataclass(frozen=True)
class LargeRun:
    """A run of the large network, and the estimated cost of its dense form."""

    kind: str
    solver: str
    neurons: int
    cycles: int
    seconds: float
    applications: int
    application_seconds: float
    dense_application_seconds: dict[int, float]
    """extrapolated, by the side of the network that was measured"""
    difference: float
    """largest absolute difference of any variable from the finest run, in the first cycle"""

    def ratio_of_runs(self, side: int) -> float:
        """Return the time with dense applications divided by the measured time."""
        return self.dense_seconds(side) / self.seconds

    def dense_seconds(self, side: int) -> float:
        """Return the estimated seconds of the run with dense applications."""
        more = self.dense_application_seconds[side] - self.application_seconds
        return self.seconds + self.applications * more


class Counted(Coupling):
    """A coupling that counts its applications."""

    def __init__(self, coupling: Coupling) -> None:
        self.shape, self.applications = coupling.shape, 0
        self._coupling = coupling

    def apply(self, signal: Array) -> Array:
        """Count the call and apply the coupling (`Coupling.apply`)."""
        self.applications += 1
        return self._coupling.apply(signal)

    def between(self, source: tuple[int, int]) -> Array:
        """Return the strengths from `source` (`Coupling.between`)."""
        return self._coupling.between(source)


def main() -> None:
    """Measure, print tables and write JSON."""
    parser = option_parser(__doc__, RESULTS / "coupling.json")
    parser.add_argument("--nest-python", default=sys.executable, help="a Python that has NEST [default: this one]")
    options = parser.parse_args()
    small = measure_small()
    costs = {kind: {side: _application_seconds(_kind(kind, side)) for side in SIDES} for kind in KINDS}
    costs["dense"] = {side: _application_seconds(_dense(side)) for side in DENSE_SIDES}
    exponents = {kind: growth_exponent({side**2: costs[kind][side] for side in SIDES}) for kind in KINDS}
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


def measure_small() -> float:
    """Return the seconds of the default run (3 x 3 neurons, six cycles), from parameters to traces."""
    return min(seconds_of(simulate) for _ in range(REPEATS))


def measure_large(kind: str, costs: dict[str, dict[int, float]]) -> list[LargeRun]:
    """Run many cycles of a large network with each solver, and extrapolate the dense form from `costs`.

    `costs` are seconds of one application by form and side.
    """
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
    """Return how often one cycle applies the coupling, and its solution."""
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
    """Return the dense tensor of a grid, also beyond the size up to which the simulator uses it."""
    kernel = _kind("FFT", side)
    tensor = np.empty((side,) * 4)
    for source in np.ndindex(side, side):
        # T is symmetric, so writing rows equals writing columns.
        tensor[source] = kernel.between(source)
    return DenseCoupling(tensor)


def _application_seconds(coupling: Coupling) -> float:
    """Return the mean seconds of one application; the shortest of several repetitions."""
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
    print(f"goal: an exponent of at most {GOAL_EXPONENT}\n")


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
    print(f"goal of the large runs: at most {GOAL_LARGE:g} s and a ratio of at least {GOAL_RATIO:g}")
    print(f"3 x 3, six cycles: {small:.2f} s; goal: at most {GOAL_SMALL:g} s\n")


if __name__ == "__main__":
    main()
