"""Memory and open files of long work: a training of 10,000 steps, and a simulation of 10,000 cycles to a file.

python -m benchmarks.soak [WORK ...]

Each work runs in this process and reports its memory and its number of open files at even shares of the work. The
command exits with 1 if either grows after the first fifth, in which caches fill. It reads /proc, so it needs Linux.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from astro_sim import SimulationParameters, simulate_to_file
from benchmarks.faults.works import TINY
from benchmarks.report import RESULTS, option_parser, write_report
from distill import default_tables
from model.tasks.library import load_task
from model.training.loop import train
from rmaat.base.files import read_json
from rmaat.base.progress import Progress
from rmaat.base.provenance import processor

COMMAND = "python -m benchmarks.soak"
STEPS = CYCLES = 10_000
SAMPLES = 50
MIB = 2**20
MOST_GROWTH = 4.0
"""In MiB. Freed memory returns to the system in pieces of this order."""
LONG = SimulationParameters().override(
    {"presynaptic_neurons": 1, "postsynaptic_neurons": 2, "cycle_duration": 10.0, "stimulus_duration": 5.0,
     "run_duration": 10.0 * CYCLES, "recording_interval": 2.5, "method": "dop853", "relative_tolerance": 1e-2,
     "absolute_tolerance": 1e-4}
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """What the process uses when a share of the work is done."""

    done: float
    memory_mib: float
    open_files: int


class Sampler:
    """A progress callable that samples this process at even shares of the work."""

    def __init__(self, samples: int = SAMPLES):
        self.count, self.found = samples, list[Sample]()

    def __call__(self, fraction: float, note: str = "") -> None:  # noqa: ARG002
        """Take the sample that is due at `fraction`."""
        if fraction * self.count >= len(self.found) + 1 - 1e-9:
            self.found.append(sample(fraction))


def sample(done: float) -> Sample:
    """Memory in RAM and open files of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    # One of the entries is the listing itself.
    files = len(os.listdir("/proc/self/fd")) - 1
    return Sample(round(done, 6), round(pages * os.sysconf("SC_PAGESIZE") / MIB, 2), files)


def growth(samples: list[Sample]) -> dict[str, float]:
    """How much more the last fifth of the work used than the second fifth, in the median."""
    fifth = len(samples) // 5
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    return {
        name: round(statistics.median(getattr(one, name) for one in late)
                    - statistics.median(getattr(one, name) for one in early), 3)
        for name in ("memory_mib", "open_files")
    }  # fmt: skip


def training(folder: Path, progress: Progress) -> None:
    """Train a tiny model for `STEPS` steps, with a validation and a checkpoint every 100."""
    task = load_task(TINY.task_parameters, None, folder / "data")
    preset = replace(TINY, training=replace(TINY.training, steps=STEPS, validate_every=100))
    train(preset.configuration(task), task, default_tables(), folder / "run", progress=progress)


def simulation(folder: Path, progress: Progress) -> None:
    """Simulate `CYCLES` cycles of a small network to a file."""
    simulate_to_file(LONG, folder / "traces.nc", progress=progress)


WORKS: dict[str, Callable[[Path, Progress], None]] = {"training": training, "simulation to a file": simulation}


def soak(work: Callable[[Path, Progress], None]) -> dict[str, Any]:
    """Run one kind of work; return its samples, their growth and the CPU time."""
    sampler, before = Sampler(), time.process_time()
    with tempfile.TemporaryDirectory(prefix="rmaat-soak-") as folder:
        work(Path(folder), sampler)
    found = growth(sampler.found)
    return {
        "cpu_seconds": round(time.process_time() - before, 1),
        "growth": found,
        "most_memory_mib": max(one.memory_mib for one in sampler.found),
        "is_flat": found["memory_mib"] <= MOST_GROWTH and found["open_files"] <= 0,
        "samples": [asdict(one) for one in sampler.found],
    }


def main() -> int:
    """Run the works, print their growth and write JSON."""
    parser = option_parser(__doc__, RESULTS / "soak.json")
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"all by default: {', '.join(WORKS)}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = read_json(options.out)["works"] if options.works and options.out.is_file() else {}
    for name, work in WORKS.items():
        if options.works and name not in options.works:
            continue
        found[name] = soak(work)
        print(f"{name:22} {found[name]['growth']}, at most {found[name]['most_memory_mib']} MiB", flush=True)
        content = {"steps": STEPS, "cycles": CYCLES, "works": found}
        write_report(options.out, COMMAND, processor(), ("numpy", "torch", "netCDF4"), content)
    return 0 if all(one["is_flat"] for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
