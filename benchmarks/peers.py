"""Compare time and memory of a training step of RMAAT with our baselines and with models of other packages.

python -m benchmarks.peers [--length 8192] [--segment-length 512] [--width 128] [--rounds 2] [--out FILE]

All models have one size, and each runs in a separate process on one thread. `benchmarks/peers.txt` lists the packages.

- Peak memory is that of tensors above parameters, gradients and moments, from the allocator's events.
- Resident memory is the growth of the process over its first steps. It includes memory that the allocator wastes.
- For our models, the matrix products of a step (`model.training.plan`) are compared with the rate of this processor in
  such products alone.

A second table compares RMAAT with RMT at its best over lengths of a segment, and with the bound of their ratio. A layer
of RMAAT takes 12 d^2 + 2 d d_h multiplications per row, one of RMT 12 d^2 + 2 d n, with n rows, width d and d_h
features per head. The ratio of RMT's to RMAAT's is (1 + n / 6d) / (1 + d_h / 6d).
"""

import argparse
import json
import math
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import benchmarks.stand_ins  # noqa: F401 (first, because the packages below import what it replaces)
from benchmarks.peer_models import CLASSES, PEERS, VOCABULARY, Size
from benchmarks.report import RESULTS, option_parser, write_report
from benchmarks.steps import eager_softmax
from benchmarks.timing import resident_bytes, seconds_of
from distill.tables import default_tables
from model.layers.precision import denormals_flushed
from model.memory.differentiation import Amrb, Bptt, Differentiation, LayerwiseAmrb
from model.networks.build import build_model
from model.networks.parameters import ModelParameters
from model.training.peak import peak_memory
from model.training.plan import plan
from rmaat.base.provenance import processor
from rmaat.base.text import table

STEPS = 3


@dataclass(frozen=True)
class Contender:
    """One line of the table."""

    build: Callable[[Size], nn.Module]
    """returns a module from tokens (batch, token) to a loss"""
    package: str = ""
    """distribution that the model needs, besides ours"""
    kernels: Callable[[], AbstractContextManager[Any]] = nullcontext
    """context that selects the softmax attention"""
    compiled: bool = False
    precision: str = "float32"
    """float32, or bfloat16 by autocast; newer processors multiply bfloat16 faster"""
    flops: Callable[[Size], float] | None = None
    """multiplications and additions of a step in matrix products; None if not known"""


class OurModel(nn.Module):
    """One of our models with one method of differentiation, and the cross-entropy of class 0."""

    def __init__(self, architecture: str, method: Differentiation, size: Size):
        super().__init__()
        self.model = build_model(_record(architecture, size), default_tables())
        self.method = method

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the loss of one batch of tokens (batch, token)."""
        logits = self.model(tokens, torch.tensor([tokens.shape[1]]), self.method)
        return functional.cross_entropy(logits, tokens.new_zeros(len(tokens)))

    def compile_cell(self) -> None:
        """Compile the segment cell."""
        self.model.compile_cell()


def _record(architecture: str, size: Size) -> ModelParameters:
    record = ModelParameters(
        vocabulary=VOCABULARY,
        classes=CLASSES,
        width=size.width,
        layers=size.layers,
        heads=size.heads,
        feed_forward_width=4 * size.width,
        segment_length=size.segment_length,
        segments=size.length // size.segment_length,
        memory_tokens=size.memory_tokens,
    )
    return record.as_architecture(architecture)


def _ours(architecture: str, method: Differentiation, **settings: Any) -> Contender:
    name = {Bptt: "bptt", Amrb: "amrb", LayerwiseAmrb: "layerwise"}[type(method)]

    def flops(size: Size) -> float:
        return plan(_record(architecture, size), name, size.length).training_flops_per_token * size.length

    return Contender(partial(OurModel, architecture, method), flops=flops, **settings)


CONTENDERS: dict[str, Contender] = {
    "RMAAT, AMRB": _ours("rmaat", Amrb()),
    "RMAAT, AMRB layer by layer": _ours("rmaat", LayerwiseAmrb()),
    "RMAAT, BPTT": _ours("rmaat", Bptt()),
    "RMAAT, AMRB, compiled": _ours("rmaat", Amrb(), compiled=True),
    "RMAAT, BPTT, compiled": _ours("rmaat", Bptt(), compiled=True),
    "RMT as published: eager softmax, BPTT": _ours("rmt", Bptt(), kernels=eager_softmax),
    "RMT, fused softmax, BPTT": _ours("rmt", Bptt()),
    "RMT, fused softmax, our replay": _ours("rmt", Amrb()),
    "RMT at its best: fused, our replay, compiled": _ours("rmt", Amrb(), compiled=True),
    "RMT, fused softmax, BPTT, compiled": _ours("rmt", Bptt(), compiled=True),
    "RLT, BPTT": _ours("rlt", Bptt()),
    "RLT, our replay": _ours("rlt", Amrb()),
    "AT": _ours("astromorphic_transformer", Bptt()),
    "Linear Transformer": _ours("linear_transformer", Bptt()),
    "Transformer, fused softmax": _ours("transformer", Bptt()),
    "S4D": _ours("s4d", Bptt()),
    "RMAAT, AMRB, bfloat16": _ours("rmaat", Amrb(), precision="bfloat16"),
    "RMAAT, AMRB, compiled, bfloat16": _ours("rmaat", Amrb(), compiled=True, precision="bfloat16"),
    "RMT as published, bfloat16": _ours("rmt", Bptt(), kernels=eager_softmax, precision="bfloat16"),
    "RMT, fused softmax, our replay, bfloat16": _ours("rmt", Amrb(), precision="bfloat16"),
    "RMT at its best, bfloat16": _ours("rmt", Amrb(), compiled=True, precision="bfloat16"),
} | {name: Contender(peer.build, peer.package) for name, peer in PEERS.items()}
PUBLISHED = "RMT as published: eager softmax, BPTT"
PAIRS = {
    "RMAAT, AMRB, compiled": "RMT at its best: fused, our replay, compiled",
    "RMAAT, BPTT, compiled": "RMT, fused softmax, BPTT, compiled",
    "RMAAT, AMRB, compiled, bfloat16": "RMT at its best, bfloat16",
}
"""RMAAT and the RMT that it is compared with over lengths of a segment."""


def main() -> None:
    """Measure all, print two tables and write JSON."""
    parser = option_parser(__doc__, RESULTS / "peers.json")
    for name, value in asdict(Size()).items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--rounds", type=int, default=2, help="processes per model; the best counts [default: 2]")
    parser.add_argument("--only", nargs="*", default=list(CONTENDERS), help="names of models [default: all]")
    parser.add_argument(
        "--sweep", type=int, nargs="*", default=[1024, 2048, 4096], help="other lengths of a segment for the pairs"
    )
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = Size(**{name: getattr(options, name) for name in asdict(Size())})
    if options.measure:
        print(json.dumps(measure(CONTENDERS[options.measure], size)))
        return
    rate = matmul_rate(size)
    results = compare(options.only, size, options.rounds)
    print(comparison_table(results, size, rate), end="\n\n")
    both = [name for name in (PUBLISHED, *PAIRS, *PAIRS.values()) if name in options.only]
    sweep = {size.segment_length: results}
    sweep |= {length: compare(both, replace(size, segment_length=length), 1) for length in options.sweep}
    print(bound_table(sweep, size), end="\n\n")
    content = {"size": asdict(size), "batch": 1, "matmul_flops_per_second": rate, "by_segment_length": sweep}
    command = "python -m benchmarks.peers " + shlex.join(sys.argv[1:])
    write_report(options.out, command, f"{processor()}, 1 thread", ("torch", "numpy"), content)


def matmul_rate(size: Size) -> float:
    """Return the FLOPs per second of one core in the matrix products of a feed-forward part with one segment's rows."""
    torch.set_num_threads(1)
    rows = torch.randn(size.segment_length + size.memory_tokens, size.width)
    weights = torch.randn(size.width, 4 * size.width)
    product = partial(torch.mm, rows, weights)
    seconds = statistics.median(seconds_of(product) for _ in range(2000))
    return 2 * rows.numel() * weights.shape[1] / seconds


def compare(names: list[str], size: Size, rounds: int) -> dict[str, dict[str, Any]]:
    """Return the best of `rounds` measurements per contender; rounds are interleaved, so drift affects all alike."""
    results: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for name in names:
            package = CONTENDERS[name].package
            try:
                installed = version(package) if package else ""
            except PackageNotFoundError:
                results[name] = {"left_out": f"{package} is not installed"}
                continue
            found = _in_process(name, size) | {"version": installed}
            known = results.get(name, found)
            results[name] = min(known, found, key=lambda result: result.get("seconds", math.inf))
    return results


def _in_process(name: str, size: Size) -> dict[str, Any]:
    options = [f"--{key.replace('_', '-')}={value}" for key, value in asdict(size).items()]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peers", "--measure", name, *options]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        return {"left_out": (process.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(process.stdout.splitlines()[-1])


def measure(contender: Contender, size: Size) -> dict[str, Any]:
    """Return seconds, peak bytes and resident growth of a training step: forward, backward, optimiser."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = contender.build(size)
    if contender.compiled and isinstance(module, OurModel):
        module.compile_cell()
    optimiser = torch.optim.AdamW(module.parameters())
    tokens = torch.randint(1, VOCABULARY, (1, size.length))
    resident = resident_bytes("VmRSS")
    step = partial(_step, module, optimiser, tokens, contender.precision)
    # On one sequence the loss and its gradients soon vanish, and denormal numbers would slow the step down.
    with contender.kernels(), denormals_flushed():
        step()  # gradients and moments exist from here on
        seconds = [seconds_of(step) for _ in range(STEPS)]
        grown = resident_bytes("VmHWM") - resident
        peak = peak_memory(step, torch.device("cpu"))
    return {
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "seconds": statistics.median(seconds),
        "tokens_per_second": size.length / statistics.median(seconds),
        "peak_bytes": peak,
        "resident_bytes": grown,
    }


def _step(module: nn.Module, optimiser: torch.optim.Optimizer, tokens: Tensor, precision: str) -> None:
    with torch.autocast(tokens.device.type, torch.bfloat16, precision == "bfloat16"):
        loss = module(tokens)
    if not getattr(module, "backpropagates", False):
        loss.backward()
    optimiser.step()
    optimiser.zero_grad(set_to_none=False)


def comparison_table(results: dict[str, dict[str, Any]], size: Size, rate: float) -> str:
    """Return the table of all contenders of one size; a skipped one has the reason in its row."""
    reference = results.get(PUBLISHED, {})
    rows = []
    for name, result in results.items():
        if "left_out" in result:
            rows.append((name, result["left_out"][:50], *[""] * 7))
            continue
        ratios = ("", "")
        if "seconds" in reference:
            ratios = (
                f"{reference['seconds'] / result['seconds']:.2f}",
                f"1/{reference['peak_bytes'] / result['peak_bytes']:.1f}",
            )
        # The rate is float32's.
        flops = CONTENDERS[name].flops if CONTENDERS[name].precision == "float32" else None
        rows.append(
            (
                name,
                f"{result['parameters'] / 1e6:.2f} M",
                f"{result['seconds']:.3f}",
                f"{result['tokens_per_second']:,.0f}",
                f"{flops(size) / result['seconds'] / rate:.0%}" if flops else "",
                f"{result['peak_bytes'] / 1e6:.1f}",
                f"{result['resident_bytes'] / 1e6:.0f}",
                *ratios,
            )
        )
    columns = (
        "model", "parameters", "s/step", "tokens/s", f"of {rate / 1e9:.0f} GFLOP/s", "peak MB", "resident MB",
        "speed / published RMT", "memory",
    )  # fmt: skip
    return table(rows, columns)


def bound_table(sweep: dict[int, dict[str, dict[str, Any]]], size: Size) -> str:
    """Return the table of RMAAT's speed divided by RMT's, and its bound, for each length of a segment."""
    rows = []
    for length, results in sweep.items():
        bound = speed_bound(replace(size, segment_length=length))
        for ours, theirs in PAIRS.items():
            if "seconds" in results.get(ours, {}) and "seconds" in results.get(theirs, {}):
                ratio = results[theirs]["seconds"] / results[ours]["seconds"]
                rows.append((str(length), ours, theirs, f"{ratio:.2f}", f"{bound:.2f}", f"{ratio / bound:.0%}"))
    return table(rows, ("segment", "RMAAT", "RMT", "speed", "bound", "share"))


def speed_bound(size: Size) -> float:
    """Return the bound of RMAAT's speed divided by RMT's, (1 + n / 6d) / (1 + d_h / 6d)."""
    six_widths = 6 * size.width
    return (1 + (size.segment_length + size.memory_tokens) / six_widths) / (1 + size.width / size.heads / six_widths)


if __name__ == "__main__":
    main()
