"""Compare AMRB with BPTT: equality of the gradients, and time and peak memory of a training step.

python -m benchmarks.replay [--out benchmarks/results/replay-cpu.json]

The number of segments and of kept graphs varies. The bound of time is that of BPTT plus the repeated forward passes:
1 + f (T - k) / T, where f is the share of BPTT's step that a forward pass takes, T the number of segments and k the
number of kept graphs. Layer by layer adds f (L - 1) / L for L layers.
"""

import itertools
import statistics
from dataclasses import asdict
from typing import Any

import torch

from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.steps import MODEL_SIZE, gradient, random_batch, relative_error
from benchmarks.timing import seconds_of
from distill import default_tables
from model.memory.differentiation import Amrb, Bptt, Differentiation, LayerwiseAmrb, MemoryBudget, Truncated
from model.networks.build import build_model
from model.networks.classifier import SegmentClassifier
from model.networks.parameters import ModelParameters
from model.training.device import Batch, choose_device, device_name
from model.training.measure import compare_steps
from model.training.peak import now
from rmaat.base.text import table

SEGMENT_LENGTH, SEGMENTS = 512, (2, 4, 8, 16)
# Segments, sequences of a batch, readout. With one sequence the sums of the parameters' gradients have the largest
# share. If the readout needs only the last segment, BPTT also keeps less of the others.
CASES = [*((segments, 1, "last") for segments in SEGMENTS), (SEGMENTS[-1], 1, "every"), (SEGMENTS[-1], 4, "every")]
LAYERWISE = "layerwise AMRB, keep 1"
# Shares of BPTT's memory and time, for the longest sequences.
GOALS = {
    "AMRB, keep 1": {"memory_ratio": 1 / 15, "time_ratio": 1.28},
    LAYERWISE: {"memory_ratio": 1 / 30, "time_ratio": 1.55},
}


def main() -> None:
    """Measure, print two tables and write JSON."""
    options = option_parser(__doc__, RESULTS / "replay-cpu.json").parse_args()
    torch.set_num_threads(1)
    device = choose_device("auto")
    exactness, costs = measure_exactness(device), measure_costs(device)
    name = device_name(device) if device.type == "cuda" else f"{device_name(device)}, 1 thread"
    content = {"model": MODEL_SIZE | {"segment_length": SEGMENT_LENGTH}, "exactness": exactness, "costs": costs}
    write_report(options.out, "python -m benchmarks.replay", name, ("torch", "numpy"), content)


def measure_exactness(device: torch.device) -> list[dict[str, Any]]:
    """Compare the gradients of AMRB and BPTT, with dropout and last segments that are not full."""
    results = []
    lengths = torch.tensor(
        [SEGMENT_LENGTH * 4, SEGMENT_LENGTH * 3 + SEGMENT_LENGTH // 2, SEGMENT_LENGTH + 1], device=device
    )
    for dtype, readout in itertools.product((torch.float32, torch.float64), ("last", "every")):
        model = _build(4, device, readout=readout, dropout=0.1).to(dtype)
        batch = random_batch(lengths)
        expected, found = (gradient(model, batch, way) for way in (Bptt(), Amrb()))
        results.append(
            {
                "dtype": str(dtype).removeprefix("torch."),
                "loss": f"{readout} segment",
                "relative_error": relative_error(found, expected),
                "same_bits": torch.equal(found, expected),
            }
        )
    rows = [(r["dtype"], r["loss"], f"{r['relative_error']:.1e}", str(r["same_bits"])) for r in results]
    print(table(rows, ("AMRB - BPTT", "loss", "relative error of the gradient", "same bits")), end="\n\n")
    return results


def measure_costs(device: torch.device) -> list[dict[str, Any]]:
    """Measure time and peak memory of forward and backward, with dropout and full segments."""
    results = []
    for segments, batch_size, readout in CASES:
        model = _build(segments, device, dropout=0.1, readout=readout)
        batch = Batch(*random_batch(torch.full((batch_size,), SEGMENT_LENGTH * segments, device=device)))
        costs = compare_steps(model, batch, {"BPTT": Bptt()}, repeats=1)
        # A third of BPTT's memory, as an example of a budget.
        budget = MemoryBudget(costs["BPTT"].peak_bytes / 3e6)
        ways: dict[str, Differentiation] = {"BPTT": Bptt()}
        ways |= {f"AMRB, keep {keep}": Amrb(keep) for keep in sorted({0, 1, segments // 2, segments})}
        ways |= {LAYERWISE: LayerwiseAmrb(), "truncated after 2": Truncated(2)}
        if segments >= 8:  # a third of fewer segments is less than the minimum of one graph
            ways["budget of 1/3"] = budget
        costs = compare_steps(model, batch, ways, repeats=5)
        forward = _forward_seconds(model, batch) / costs["BPTT"].seconds
        for name, cost in costs.items():
            ratios = {
                "memory_ratio": cost.peak_bytes / costs["BPTT"].peak_bytes,
                "time_ratio": cost.seconds / costs["BPTT"].seconds,
                "time_bound": _time_bound(ways[name], segments, forward),
            }
            goal = GOALS.get(name) if segments == SEGMENTS[-1] else None
            case = {"segments": segments, "batch": batch_size, "readout": readout, "way": name}
            results.append(case | asdict(cost) | ratios | {"goal": goal})
    header = (
        "batch x tokens", "readout", "way", "peak memory", "time", "memory / BPTT's", "time / BPTT's", "bound", "goal"
    )  # fmt: skip
    print(table([_cost_row(result) for result in results], header), end="\n\n")
    return results


def _forward_seconds(model: SegmentClassifier, batch: Batch) -> float:
    """Return the median seconds of a forward pass without a graph, with dropout."""
    device = batch.tokens.device
    with torch.no_grad():
        runs = [seconds_of(lambda: model(batch.tokens, batch.lengths), lambda: now(device)) for _ in range(6)]
    return statistics.median(runs[1:])


def _time_bound(way: Differentiation, segments: int, forward: float) -> float | None:
    """Return the bound in units of BPTT's time; None for a budget or a truncation, whose work depends on the run."""
    if isinstance(way, Bptt):
        return 1.0
    if not isinstance(way, Amrb | LayerwiseAmrb):
        return None
    segments_again = (segments - min(way.keep, segments)) / segments
    layers_again = (MODEL_SIZE["layers"] - 1) / MODEL_SIZE["layers"] if isinstance(way, LayerwiseAmrb) else 0.0
    return 1 + forward * (segments_again + layers_again)


def _cost_row(result: dict[str, Any]) -> tuple[str, ...]:
    goal = result["goal"]
    return (
        f"{result['batch']} x {result['segments']} x {SEGMENT_LENGTH}",
        result["readout"],
        result["way"],
        f"{result['peak_bytes'] / 1e6:.1f} MB",
        f"{result['seconds']:.3f} s",
        f"1/{1 / result['memory_ratio']:.1f}",
        f"{result['time_ratio']:.2f}",
        f"{result['time_bound']:.2f}" if result["time_bound"] else "",
        f"1/{1 / goal['memory_ratio']:.0f}, {goal['time_ratio']:.2f}" if goal else "",
    )


def _build(segments: int, device: torch.device, **changes: Any) -> SegmentClassifier:
    torch.manual_seed(0)
    parameters = MODEL_SIZE | {"segment_length": SEGMENT_LENGTH, "segments": segments} | changes
    return build_model(ModelParameters.from_dict(parameters), default_tables()).to(device)


if __name__ == "__main__":
    main()
