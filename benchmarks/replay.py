"""AMRB beside BPTT: time and peak memory of a training step, over segments and kept graphs.

    python -m benchmarks.replay [--out benchmarks/results/replay-cpu.json]

Both ways differentiate the same model on the same batch and must give the same gradient, which is checked first.
"""

import argparse
import datetime
import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from torch.nn import functional

from distill import default_tables
from model.measure import StepCost, compare_steps
from model.network import SegmentClassifier, build_model
from model.parameters import ModelParameters
from model.replay import Amrb, Bptt, Differentiation
from model.training import Batch, choose_device
from rmaat.files import write_text
from rmaat.text import table
from rmaat.versions import versions

SEGMENT_LENGTH, SEGMENTS, BATCH = 512, (2, 4, 8, 16), 1
SIZE = {"width": 128, "layers": 4, "heads": 4, "feed_forward_width": 512, "memory_tokens": 16, "dropout": 0.1}


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/replay-cpu.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = choose_device("auto")
    rows, results = [], []
    for segments in SEGMENTS:
        for name, cost, base in _measure(segments, device):
            ratios = cost.peak_bytes / base.peak_bytes, cost.seconds / base.seconds
            results.append(
                {"segments": segments, "way": name, **asdict(cost), "memory_ratio": ratios[0], "time_ratio": ratios[1]}
            )
            rows.append(
                (
                    f"{segments} x {SEGMENT_LENGTH}",
                    name,
                    f"{cost.peak_bytes / 1e6:.1f} MB",
                    f"{cost.seconds:.3f} s",
                    f"1/{1 / ratios[0]:.1f}",
                    f"{ratios[1]:.2f}",
                )
            )
            print(" ".join(rows[-1]), file=sys.stderr)
    print(table(rows, ("tokens", "way", "peak memory", "time", "of BPTT's memory", "of its time")))
    write_text(options.out, json.dumps(_report(device, results), indent=2) + "\n")
    print(f"written to {options.out}")


def _measure(segments: int, device: torch.device) -> list[tuple[str, StepCost, StepCost]]:
    torch.manual_seed(0)
    parameters = ModelParameters.from_dict(SIZE | {"segment_length": SEGMENT_LENGTH, "segments": segments})
    model = build_model(parameters, default_tables()).to(device)
    length = SEGMENT_LENGTH * segments
    tokens = torch.randint(1, parameters.vocabulary, (BATCH, length), device=device)
    batch = Batch(
        tokens, torch.full((BATCH,), length, device=device), torch.zeros(BATCH, dtype=torch.int64, device=device)
    )
    ways: dict[str, Differentiation] = {"BPTT": Bptt()}
    ways |= {f"AMRB, keep {keep}": Amrb(keep) for keep in (0, 1, segments // 2, segments) if keep <= segments}
    _check_gradients(model, batch, ways)
    costs = compare_steps(model, batch, ways, repeats=5)
    return [(name, cost, costs["BPTT"]) for name, cost in costs.items()]


def _check_gradients(model: SegmentClassifier, batch: Batch, ways: dict[str, Differentiation]) -> None:
    """No figure without the same gradient, to the bit."""
    found = []
    for way in ways.values():
        model.zero_grad()
        torch.manual_seed(1)
        functional.cross_entropy(model(batch.tokens, batch.lengths, way), batch.labels).backward()
        found.append([parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None])
    for gradients in found[1:]:
        if not all(map(torch.equal, found[0], gradients)):
            raise SystemExit("AMRB and BPTT give different gradients; nothing was measured")


def _report(device: torch.device, results: list[dict]) -> dict:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "date": datetime.date.today().isoformat(),
        "command": "python -m benchmarks.replay",
        "versions": versions("torch", "numpy"),
        "model": SIZE | {"segment_length": SEGMENT_LENGTH, "batch": BATCH},
        "results": results,
    }


if __name__ == "__main__":
    main()
