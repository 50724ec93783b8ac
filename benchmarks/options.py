"""Cost of each option of the model: time and peak memory of a training step beside the plain model, and exactness.

python -m benchmarks.options [--out benchmarks/results/options-cpu.json]

Each option is added to the plain RMAAT by itself. A round measures the plain model and then the option, so that the
load of the machine changes both; the ratio is of the fastest steps.
"""

import math
from typing import Any

import torch

from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.steps import gradient, random_batch
from distill import default_tables
from model.memory.differentiation import Amrb, Bptt
from model.networks.build import build_model
from model.networks.parameters import ModelParameters
from model.training.device import Batch, choose_device, device_name
from model.training.measure import compare_steps
from rmaat.base.text import table

PLAIN = {
    "vocabulary": 257, "classes": 10, "width": 64, "heads": 4, "layers": 2, "feed_forward_width": 128,
    "segments": 16, "segment_length": 512, "dropout": 0.1, "readout": "every",
}  # fmt: skip
SEQUENCES, ROUNDS = 1, 3
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "norm pre": {"norm": "pre"},
    "read rms": {"read": "rms"},
    "memory rule share": {"memory_rule": "share"},
    "memory rule gated": {"memory_rule": "gated"},
    "memory norm": {"memory_norm": True},
    "token readout": {"readout": "token"},
    "n-grams of 2 to 5": {"ngrams": [2, 3, 4, 5]},
    "16,384 words": {"word_buckets": 16384},
    "local mixing of 3": {"local_mixing": 3},
    "local mixing of 3 at 1 and 32": {"local_mixing": 3, "local_dilations": [1, 32]},
    "local mixing of 3 at 1 and 32, into rows": {
        "local_mixing": 3, "local_dilations": [1, 32], "local_into": "rows", "norm": "pre",
    },
    "local mixing of 99": {"local_mixing": 99},
    "continuous pixels": {"pixels": "continuous"},
    "patches of 5": {"pixels": "continuous", "pixel_patch": 5},
}  # fmt: skip


def main() -> None:
    """Measure, print a table and write JSON."""
    options = option_parser(__doc__, RESULTS / "options-cpu.json").parse_args()
    torch.set_num_threads(1)
    device = choose_device("auto")
    results = [{"option": name} | measure(changes, device) for name, changes in OPTIONS.items()]
    header = ("option", "time / plain", "memory / plain", "AMRB / BPTT: memory", "time", "same bits")
    print(table([_row(result) for result in results], header), end="\n\n")
    name = device_name(device) if device.type == "cuda" else f"{device_name(device)}, 1 thread"
    content = {"model": PLAIN, "sequences": SEQUENCES, "options": results}
    write_report(options.out, "python -m benchmarks.options", name, ("torch", "numpy"), content)


def measure(changes: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Measure a step with AMRB and with BPTT of the model with `changes`, beside the plain model's with AMRB."""
    methods = {"AMRB": Amrb(), "BPTT": Bptt()}
    records = {"plain": ModelParameters.from_dict(PLAIN), "option": ModelParameters.from_dict(PLAIN | changes)}
    models = {name: build_model(record, default_tables()).to(device) for name, record in records.items()}
    lengths = torch.full((SEQUENCES,), records["plain"].longest_sequence, device=device)
    batch = random_batch(lengths)
    seconds = {(name, method): math.inf for name in models for method in methods}
    peaks: dict[tuple[str, str], int] = {}
    for _ in range(ROUNDS):
        for name, model in models.items():
            for method, cost in compare_steps(model, Batch(*batch), methods, repeats=1).items():
                seconds[name, method] = min(seconds[name, method], cost.least_seconds)
                peaks[name, method] = cost.peak_bytes
    found, expected = (gradient(models["option"], batch, way) for way in (Amrb(), Bptt()))
    return {
        "seconds": seconds["option", "AMRB"],
        "peak_bytes": peaks["option", "AMRB"],
        "time_beside_plain": seconds["option", "AMRB"] / seconds["plain", "AMRB"],
        "memory_beside_plain": peaks["option", "AMRB"] / peaks["plain", "AMRB"],
        "memory_ratio": peaks["option", "AMRB"] / peaks["option", "BPTT"],
        "time_ratio": seconds["option", "AMRB"] / seconds["option", "BPTT"],
        "same_bits": torch.equal(found, expected),
    }


def _row(result: dict[str, Any]) -> tuple[str, ...]:
    return (
        result["option"],
        f"{result['time_beside_plain']:.2f}",
        f"{result['memory_beside_plain']:.2f}",
        f"1/{1 / result['memory_ratio']:.1f}",
        f"{result['time_ratio']:.2f}",
        str(result["same_bits"]),
    )


if __name__ == "__main__":
    main()
