"""A thousand points of the 3 x 3 rate model: one by one, solved together, and solved together in two processes.

python -m benchmarks.sweep [--points 1000] [--workers 2] [--out benchmarks/results/sweep.json]
"""

import argparse
import os
import tempfile
from pathlib import Path

# One thread for each process, as the sweep's own workers have; read when NumPy is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from astro_sim import SimulationParameters, simulate, simulate_batch
from astro_sim.sweep import InProcess, LocalProcesses, RandomDesign, Workers, parse_axes
from benchmarks.report import RESULTS, write_report
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
"""Points that are simulated one by one; the others would take as long each."""


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "sweep.json")
    options = parser.parse_args()
    seconds = measure(options.points, options.workers)
    print(table([(name, f"{value:.1f}") for name, value in seconds.items()], (f"{options.points} points", "seconds")))
    content = {"points": options.points, "workers": options.workers, "seconds": seconds}
    write_report(options.out, "python -m benchmarks.sweep", processor(), ("numpy", "scipy", "distributed"), content)


def measure(points: int, workers: int) -> dict[str, float]:
    """Seconds for all `points` each way."""
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
