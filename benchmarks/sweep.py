"""Measure a sweep of a thousand points of the 3 x 3 rate model.

python -m benchmarks.sweep [--points 1000] [--workers 2] [--out benchmarks/results/sweep.json]

The points are simulated one by one (extrapolated from a few), solved together in one process, and solved together and
distilled in one process and in several.
"""

import os
import tempfile
from pathlib import Path

# One thread per process, like the workers of a sweep. NumPy reads this once, when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from astro_sim import SimulationParameters, simulate, simulate_batch
from astro_sim.sweep import InProcess, LocalProcesses, RandomDesign, Workers, parse_axes
from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.timing import seconds_of
from distill.inverse.sweep import POINTS_TOGETHER, Distillation, RateModelMeasure, sweep
from rmaat.base.provenance import processor
from rmaat.base.text import table

AXES = parse_axes(
    [
        "coupling_strength=0.01:0.08",
        "short_term_gain=0.2:0.6",
        "long_term_time_constant=50:400:log",
        "cycle_duration=30:100",
    ]
)
ALONE = 5
"""Points that are simulated one by one; the time of the others is extrapolated from these."""


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = option_parser(__doc__, RESULTS / "sweep.json")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    seconds = measure(options.points, options.workers)
    print(table([(name, f"{value:.1f}") for name, value in seconds.items()], (f"{options.points} points", "seconds")))
    content = {"points": options.points, "workers": options.workers, "seconds": seconds}
    write_report(options.out, "python -m benchmarks.sweep", processor(), ("numpy", "scipy", "distributed"), content)


def measure(points: int, workers: int) -> dict[str, float]:
    """Return the seconds that `points` points take with each method."""
    base, design = SimulationParameters(), RandomDesign(AXES, points)
    records = [base.override(row) for row in design.rows(base)]

    def together() -> None:
        for start in range(0, points, POINTS_TOGETHER):
            simulate_batch(records[start : start + POINTS_TOGETHER])

    def distilled(by: Workers) -> None:
        with tempfile.TemporaryDirectory() as folder:
            sweep(base, design, RateModelMeasure(Distillation()), Path(folder) / "parts", by)

    processes = LocalProcesses(workers)
    alone = seconds_of(lambda: [simulate(record) for record in records[:ALONE]])
    return {
        "simulated one by one (from a few)": alone / min(ALONE, points) * points,
        "simulated together, one process": seconds_of(together),
        "simulated together and distilled, one process": seconds_of(lambda: distilled(InProcess())),
        f"simulated together and distilled, {workers} processes": seconds_of(lambda: distilled(processes)),
    }


if __name__ == "__main__":
    main()
