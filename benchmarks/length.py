"""Measure time and memory of a training step over the length of the sequence, from 8 thousand to a million tokens.

python -m benchmarks.length [--out benchmarks/results/length-cpu.json] [--longest 1048576]

A step computes the exact gradient of the whole sequence by AMRB. Each length runs in a separate process, on one thread.
Memory is the highest resident memory of the process minus that of the shortest length. It includes token ids and
memories. Numbers below float32's normal range are flushed to zero: gradients that vanish over hundreds of segments
would otherwise take a CPU seven times longer.
"""

import json
import math
import statistics
import subprocess
import sys
from typing import Any

import torch
from torch.nn import functional

from astro_sim import simulate
from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.steps import MODEL_SIZE
from benchmarks.timing import growth_exponent, resident_bytes, seconds_of
from distill import DistillParameters, distil
from model.layers.precision import denormals_flushed
from model.memory.differentiation import Amrb
from model.networks.build import build_model
from model.networks.parameters import ModelParameters
from rmaat.base.provenance import processor
from rmaat.base.text import table

SEGMENT_LENGTH, SHORTEST, LONGEST = 512, 2**13, 2**20
SIZE = MODEL_SIZE | {"dropout": 0.1}
LEAST_SECONDS = 3.0
"""A step is repeated until this much time has passed; the median counts."""


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = option_parser(__doc__, RESULTS / "length-cpu.json")
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
    exponent = growth_exponent({step["tokens"]: step["seconds"] for step in steps})
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
    """Return the seconds of a training step on one sequence, and the highest resident memory of this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    segments = tokens // SEGMENT_LENGTH
    parameters = SIZE | {"segment_length": SEGMENT_LENGTH, "segments": segments, "retention": "none"}
    model = build_model(ModelParameters.from_dict(parameters), distil(simulate(), DistillParameters(segments=segments)))
    optimizer = torch.optim.AdamW(model.parameters())
    sequence, label = torch.randint(1, 16, (1, tokens), dtype=torch.int32), torch.zeros(1, dtype=torch.int64)

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(sequence, torch.tensor([tokens]), Amrb()), label).backward()
        optimizer.step()

    seconds: list[float] = []
    with denormals_flushed():
        while not seconds or sum(seconds) < LEAST_SECONDS:
            seconds.append(seconds_of(step))
    return {"tokens": tokens, "seconds": statistics.median(seconds), "resident_bytes": resident_bytes("VmHWM")}


def _in_a_process(tokens: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.length", "--only", str(tokens)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
