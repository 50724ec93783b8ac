"""Speed and memory of reading with a finished model: whole batches and streams, beside models of other packages.

python -m benchmarks.inference [--out benchmarks/results/inference.json]

Bytes per second of one processor core, by the core's own clock, so that other work on the machine counts little.
Every round reads with all models of a length in turn; the fastest round counts. Memory is the peak of tensors above
the parameters. All models have 32 features, two layers and two heads. The packaged Text model has n-grams and 64
features between its layers; the other RMAAT has 128 and no n-grams, as the models of other packages
(`benchmarks/peers.txt`). A stream reads 500 bytes at a time and answers at the end.
"""

import math
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from benchmarks.peer_models import CLASSES, PEERS, VOCABULARY, Size
from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.timing import seconds_of
from distill import default_tables
from model.layers.precision import denormals_flushed
from model.networks.build import build_model
from model.networks.classifier import SegmentClassifier
from model.networks.parameters import ModelParameters
from model.networks.streaming import ClassifierStream
from model.prediction.classifier import load_classifier
from model.training.peak import peak_memory
from rmaat.base.provenance import processor
from rmaat.base.text import table

PIECE, ROUNDS = 500, 5
CASES = [(4_000, 1), (4_000, 16), (16_000, 1), (32_000, 1)]
"""(bytes of a sequence, sequences at once)"""
LONGEST = {"x-transformers, softmax (flash)": 16_000}
"""where reading takes time of the square of the length"""
OTHERS = ("idiap fast-transformers, linear", "x-transformers, softmax (flash)")
SAME_SIZE = {
    "vocabulary": VOCABULARY, "classes": CLASSES, "width": 32, "heads": 2, "layers": 2, "feed_forward_width": 128,
    "segment_length": PIECE, "readout": "every",
}  # fmt: skip
GOAL = "as fast as every other model at each length, and streams whose memory does not grow with the length"
Read = Callable[[], object]


def main() -> None:
    """Measure, print a table and write JSON."""
    options = option_parser(__doc__, RESULTS / "inference.json").parse_args()
    torch.set_num_threads(1)
    with denormals_flushed():
        results = [row for length, batch in CASES for row in measure(length, batch)]
    header = ("bytes", "at once", "model", "bytes / s", "peak MB")
    print(table([_cells(row) for row in results], header), end="\n\n")
    print(f"goal: {GOAL}")
    packages = ("torch", "numpy", *(PEERS[name].package for name in OTHERS if _is_installed(name)))
    content = {"goal": GOAL, "results": results}
    write_report(options.out, "python -m benchmarks.inference", f"{processor()}, 1 thread", packages, content)


def measure(length: int, batch: int) -> list[dict[str, Any]]:
    """Speed and memory of every model on `batch` sequences of `length` bytes."""
    tokens = torch.randint(1, VOCABULARY, (batch, length))
    reads = dict(readers(tokens))
    # The first use of a model prepares its kernels.
    peaks = {name: peak_memory(lambda read=read: _discard(read), tokens.device) for name, read in reads.items()}
    seconds = dict.fromkeys(reads, math.inf)
    for _ in range(ROUNDS):
        for name, read in reads.items():
            seconds[name] = min(seconds[name], seconds_of(lambda read=read: _discard(read), time.process_time))
    return [
        {
            "length": length,
            "batch": batch,
            "model": name,
            "bytes_per_second": batch * length / seconds[name],
            "peak_bytes": peaks[name],
        }
        for name in reads
    ]


def readers(tokens: Tensor) -> Iterator[tuple[str, Read]]:
    """Name and reading function of every model that is installed and can read `tokens`."""
    batch, length = tokens.shape
    packaged = load_classifier("text", "cpu").model.eval()
    if length <= packaged.parameters_record.longest_sequence:
        yield "RMAAT, packaged Text model", lambda: packaged(tokens, torch.full((batch,), length))
    model = _same_size(length)
    yield "RMAAT", lambda: model(tokens, torch.full((batch,), length))
    yield "RMAAT, stream", lambda: _streamed(model, tokens)
    for name in OTHERS:
        if _is_installed(name) and length <= LONGEST.get(name, length):
            other = PEERS[name].build(Size(length, PIECE, width=32, layers=2, heads=2)).eval()
            yield name, lambda other=other: other(tokens)


def _same_size(length: int) -> SegmentClassifier:
    # A stream needs factors that do not depend on the length.
    changes = {"segments": -(-length // PIECE), "retention": "streaming"}
    model = build_model(ModelParameters.from_dict(SAME_SIZE | changes), default_tables())
    assert isinstance(model, SegmentClassifier)
    return model.eval()


def _streamed(model: SegmentClassifier, tokens: Tensor) -> Tensor:
    stream = ClassifierStream(model, len(tokens))
    for piece in tokens.split(PIECE, dim=1):
        stream.feed(piece)
    return stream.logits()


def _discard(read: Read) -> None:
    with torch.no_grad():
        read()


def _is_installed(name: str) -> bool:
    try:
        version(PEERS[name].package)
    except PackageNotFoundError:
        return False
    return True


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    speed, peak = f"{row['bytes_per_second']:,.0f}", f"{row['peak_bytes'] / 1e6:.1f}"
    return f"{row['length']:,}", str(row["batch"]), row["model"], speed, peak


if __name__ == "__main__":
    main()
