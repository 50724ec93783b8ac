"""Compare dropout from bytes with torch's: forward, and forward and backward, plain and compiled, on one core.

python -m benchmarks.dropout [--out benchmarks/results/dropout.json]

The rows are those of 8 segments of 512 tokens and 16 memory tokens, 128 wide. Times are of the core's own clock, the
fastest of many.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.timing import seconds_of
from model.layers.dropout import Dropout
from rmaat.base.provenance import processor
from rmaat.base.text import table

SHAPE, PROBABILITY, ROUNDS = (8, 528, 128), 0.1, 40
Function = Callable[[Tensor], Tensor]


def main() -> None:
    """Measure, print a table and write JSON."""
    options = option_parser(__doc__, RESULTS / "dropout.json").parse_args()
    torch.set_num_threads(1)
    results = {name: measure(layer) for name, layer in (("bytes", Dropout), ("torch", nn.Dropout))}
    cells = [(name, *(f"{1e3 * seconds:.2f} ms" for seconds in row.values())) for name, row in results.items()]
    print(table(cells, ("dropout", *next(iter(results.values())))), end="\n\n")
    content = {"shape": SHAPE, "probability": PROBABILITY, "seconds": results}
    write_report(options.out, "python -m benchmarks.dropout", f"{processor()}, 1 thread", ("torch",), content)


def measure(layer: Callable[[float], nn.Module]) -> dict[str, float]:
    """Seconds of one kind of dropout."""
    dropout, rows = layer(PROBABILITY), torch.randn(SHAPE, requires_grad=True)
    compiled = torch.compile(dropout)
    return {
        "forward": _fastest(lambda: dropout(rows.detach())),
        "forward and backward": _fastest(lambda: _gradient(dropout, rows)),
        "compiled, forward and backward": _fastest(lambda: _gradient(compiled, rows)),
    }


def _gradient(dropout: Function, rows: Tensor) -> None:
    rows.grad = None
    dropout(rows).sum().backward()


def _fastest(work: Callable[[], object]) -> float:
    # The first call compiles.
    work()
    return min(seconds_of(work, time.process_time) for _ in range(ROUNDS))


if __name__ == "__main__":
    main()
