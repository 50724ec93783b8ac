"""Flat in length: one training step with the exact gradient of the whole sequence, from 8 thousand to a million tokens.

python -m benchmarks.length [--out benchmarks/results/length-cpu.json] [--longest 1048576]

Each length runs in a process of its own, on one thread. Resident memory is the process's highest, of which that of the
shortest length is taken off: what length itself costs, token ids and memories included. Numbers too small for float32's
full precision are flushed to zero: gradients that vanish over hundreds of segments would cost a CPU seven times more.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from astro_sim import simulate
from benchmarks.report import RESULTS, write_report
from distill import DistillParameters, distil
from model.layers.precision import denormals_flushed
from model.memory.differentiation import Amrb
from model.networks.build import build_model
from model.networks.parameters import ModelParameters
from rmaat.base.provenance import processor
from rmaat.base.text import table

SEGMENT_LENGTH, SHORTEST, LONGEST = 512, 2**13, 2**20
SIZE = {"width": 128, "layers": 4, "heads": 4, "feed_forward_width": 512, "memory_tokens": 16, "dropout": 0.1}
LEAST_SECONDS = 3.0
"""Short steps are repeated for this long, and the median counts."""


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "length-cpu.json")
    parser.add_argument("--longest", type=int, default=LONGEST, help=f"tokens [default: {LONGEST}]")
    parser.add_argument("--only", type=int, metavar="TOKENS", help="measure this length here and print JSON")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only)))
        return
    lengths = [SHORTEST * 2**power for power in range(int(math.log2(options.longest / SHORTEST)) + 1)]
    steps = [_in_a_process(length) for length in lengths]
    for step in steps:
        step["megabytes_above_shortest"] = (step["resident_bytes"] - steps[0]["resident_bytes"]) / 1e6
    exponent = fit_exponent({step["tokens"]: step["seconds"] for step in steps})
    rows = [
        (
            f"{step['tokens']}",
            f"{step['tokens'] // SEGMENT_LENGTH}",
            f"{step['seconds']:.2f} s",
            f"{step['tokens'] / step['seconds']:.0f}",
            f"{step['resident_bytes'] / 1e6:.0f} MB",
            f"{step['megabytes_above_shortest']:+.1f} MB",
        )
        for step in steps
    ]
    print(table(rows, ("tokens", "segments", "step", "tokens/s", "resident", "above the shortest")))
    print(f"time grows with length to the power {exponent:.3f}\n")
    content = {"model": SIZE | {"segment_length": SEGMENT_LENGTH}, "steps": steps, "exponent": exponent}
    write_report(options.out, "python -m benchmarks.length", f"{processor()}, 1 thread", ("torch", "numpy"), content)


def measure(tokens: int) -> dict[str, Any]:
    """Seconds of a training step on one sequence of `tokens`, and the most that this process ever had resident."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    segments = tokens // SEGMENT_LENGTH
    parameters = SIZE | {"segment_length": SEGMENT_LENGTH, "segments": segments, "retention": "none"}
    model = build_model(ModelParameters.from_dict(parameters), distil(simulate(), DistillParameters(segments=segments)))
    optimizer = torch.optim.AdamW(model.parameters())
    sequence, label = torch.randint(1, 16, (1, tokens), dtype=torch.int32), torch.zeros(1, dtype=torch.int64)
    seconds = []
    with denormals_flushed():
        while not seconds or sum(seconds) < LEAST_SECONDS:
            started = time.perf_counter()
            optimizer.zero_grad()
            functional.cross_entropy(model(sequence, torch.tensor([tokens]), Amrb()), label).backward()
            optimizer.step()
            seconds.append(time.perf_counter() - started)
    return {"tokens": tokens, "seconds": float(np.median(seconds)), "resident_bytes": _highest_resident()}


def fit_exponent(seconds: dict[int, float]) -> float:
    """The power of length that time follows, by least squares of the logarithms; nan for a single length."""
    if len(seconds) < 2:
        return math.nan
    return float(np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)[0])


def _in_a_process(tokens: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.length", "--only", str(tokens)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _highest_resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
