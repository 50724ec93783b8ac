"""Time and peak memory of a training step over the length of a segment, with rows all at once and in blocks.

python -m benchmarks.row_blocks [--tokens 16384] [--out benchmarks/results/row-blocks-cpu.json]

The sequence keeps its length, so longer segments are fewer. Every method is measured with and without blocks in turn,
and the fastest step counts. The bound of time is one more forward pass: of a step with BPTT, which has a forward pass
and a backward pass of twice its arithmetic, it is 4 / 3, and of replay with T segments, of which it keeps one graph,
1 + 1 / (4 - 1 / T).
"""

from typing import Any

import torch

from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.steps import MODEL_SIZE, gradient, random_batch, relative_error
from distill import default_tables
from model.memory.differentiation import Amrb, Bptt, LayerwiseAmrb
from model.networks.build import build_model
from model.networks.classifier import SegmentClassifier
from model.networks.parameters import ROW_BLOCK, ModelParameters
from model.training.device import Batch, choose_device, device_name
from model.training.measure import StepCost, compare_steps
from rmaat.base.text import table

SEGMENT_LENGTHS = (512, 1024, 2048, 4096, 8192, 16384)
METHODS = {"BPTT": Bptt(), "AMRB": Amrb(), "AMRB layer by layer": LayerwiseAmrb()}
FORMS = {"at once": "none", "blocks": ROW_BLOCK}
ROUNDS = 2


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = option_parser(__doc__, RESULTS / "row-blocks-cpu.json")
    parser.add_argument("--tokens", type=int, default=SEGMENT_LENGTHS[-1], help="tokens of the sequence")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = choose_device("auto")
    lengths = [length for length in SEGMENT_LENGTHS if length <= options.tokens]
    results = [result for length in lengths for result in measure(length, options.tokens, device)]
    print(table([_row(result) for result in results], ("segment", "method", "at once", "blocks", "memory", "time")))
    name = device_name(device) if device.type == "cuda" else f"{device_name(device)}, 1 thread"
    content = {
        "model": MODEL_SIZE,
        "tokens": options.tokens,
        "row_block": ROW_BLOCK,
        "results": results,
        "exactness": exactness(device),
    }
    write_report(options.out, "python -m benchmarks.row_blocks", name, ("torch", "numpy"), content)


def measure(segment_length: int, tokens: int, device: torch.device) -> list[dict[str, Any]]:
    """Cost of a step of each method, with segments of this length."""
    models = {form: _build(segment_length, tokens // segment_length, rows, device) for form, rows in FORMS.items()}
    batch = Batch(*random_batch(torch.tensor([tokens], device=device)))
    costs: dict[str, dict[str, StepCost]] = {form: {} for form in FORMS}
    for _ in range(ROUNDS):
        for form, model in models.items():
            for method, cost in compare_steps(model, batch, METHODS, repeats=1).items():
                known = costs[form].get(method, cost)
                costs[form][method] = min(known, cost, key=lambda each: each.least_seconds)
    return [
        {
            "segment_length": segment_length,
            "method": method,
            "peak_bytes": {form: costs[form][method].peak_bytes for form in FORMS},
            "seconds": {form: costs[form][method].least_seconds for form in FORMS},
        }
        for method in METHODS
    ]


def exactness(device: torch.device) -> dict[str, Any]:
    """Compare the gradients of both forms, and of replay and BPTT in blocks with dropout; lengths are ragged."""
    batch = random_batch(torch.tensor([4096, 2100, 900], device=device))
    plain, blocks = (gradient(_build(1024, 4, rows, device).double(), batch, Amrb()) for rows in FORMS.values())
    model = _build(1024, 4, ROW_BLOCK, device, dropout=0.1)
    found, expected = (gradient(model, batch, way) for way in (Amrb(), Bptt()))
    return {
        "relative_error_of_blocks_in_float64": relative_error(blocks, plain),
        "replay_has_the_bits_of_bptt": torch.equal(found, expected),
    }


def _build(
    segment_length: int, segments: int, row_block: str | int, device: torch.device, **changes: Any
) -> SegmentClassifier:
    torch.manual_seed(0)
    sizes = {"segment_length": segment_length, "segments": segments, "row_block": row_block, "readout": "every"}
    return build_model(ModelParameters.from_dict(MODEL_SIZE | sizes | changes), default_tables()).to(device)


def _row(result: dict[str, Any]) -> tuple[str, ...]:
    peaks, seconds = result["peak_bytes"], result["seconds"]
    return (
        f"{result['segment_length']:,}",
        result["method"],
        *(f"{peaks[form] / 1e6:.1f} MB, {seconds[form]:.2f} s" for form in FORMS),
        f"1/{peaks['at once'] / peaks['blocks']:.1f}",
        f"{seconds['blocks'] / seconds['at once']:.2f}",
    )


if __name__ == "__main__":
    main()
