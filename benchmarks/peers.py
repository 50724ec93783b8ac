"""RMAAT, our baselines and outside peers: time and memory of a training step of one size, each in a process of its own.

python -m benchmarks.peers [--length 8192] [--segment-length 512] [--width 128] [--rounds 2] [--out FILE]

Peak memory is what tensors take above parameters, gradients and moments, by the allocator's events; resident is the
process's own growth over its first steps, which holds the allocator's waste too.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import benchmarks.bare  # noqa: F401 (first, because the rooms below import what it stands in for)
from benchmarks.peer_models import CLASSES, PEERS, VOCABULARY, Size
from benchmarks.report import RESULTS, processor, write_report
from benchmarks.steps import eager_softmax
from benchmarks.timing import seconds_of
from distill.tables import default_tables
from model.denormals import denormals_flushed
from model.network import build_model
from model.parameters import ModelParameters
from model.peak import peak_memory
from model.replay import Amrb, Bptt, Differentiation, LayerwiseAmrb
from rmaat.text import table

STEPS = 3


@dataclass(frozen=True)
class Contender:
    """One line of the table."""

    build: Callable[[Size], nn.Module]
    """a module that maps tokens (batch, token) to a loss"""
    package: str = ""
    """outside distribution that it needs"""
    kernels: Callable[[], AbstractContextManager[Any]] = nullcontext
    """which softmax attention is used"""
    compiled: bool = False


class Ours(nn.Module):
    """One of our models under one way to differentiate, and the cross-entropy of class 0."""

    def __init__(self, architecture: str, way: Differentiation, size: Size):
        super().__init__()
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
        self.model = build_model(record.as_architecture(architecture), default_tables())
        self.way = way

    def forward(self, tokens: Tensor) -> Tensor:
        """The loss of one batch."""
        logits = self.model(tokens, torch.tensor([tokens.shape[1]]), self.way)
        return functional.cross_entropy(logits, tokens.new_zeros(len(tokens)))

    def compile_cell(self) -> None:
        """Compile the segment cell."""
        self.model.compile_cell()


def _ours(architecture: str, way: Differentiation, **settings: Any) -> Contender:
    return Contender(partial(Ours, architecture, way), **settings)


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
} | {name: Contender(peer.build, peer.package) for name, peer in PEERS.items()}


def main() -> None:
    """Measure all, print one table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in asdict(Size()).items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--rounds", type=int, default=2, help="the best of so many processes for each [default: 2]")
    parser.add_argument("--only", nargs="*", default=list(CONTENDERS), help="some of them [default: all]")
    parser.add_argument("--out", type=Path, default=RESULTS / "peers.json")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = Size(**{name: getattr(options, name) for name in asdict(Size())})
    if options.measure:
        print(json.dumps(measure(CONTENDERS[options.measure], size)))
        return
    results = compare(options.only, size, options.rounds)
    print(_table(results))
    command = f"python -m benchmarks.peers --length {size.length}"
    content = {"size": asdict(size), "batch": 1, "results": results}
    write_report(options.out, command, f"{processor()}, 1 thread", ("torch", "numpy"), content)


def compare(names: list[str], size: Size, rounds: int) -> dict[str, dict[str, Any]]:
    """The best of `rounds` measurements for each contender, interleaved, so that drift hits all alike."""
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
            results[name] = min(known, found, key=lambda result: result.get("seconds", 0.0))
    return results


def _in_process(name: str, size: Size) -> dict[str, Any]:
    options = [f"--{key.replace('_', '-')}={value}" for key, value in asdict(size).items()]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peers", "--measure", name, *options]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        return {"left_out": (process.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(process.stdout.splitlines()[-1])


def measure(contender: Contender, size: Size) -> dict[str, Any]:
    """Seconds, peak bytes and resident growth of a training step: forward, backward, optimiser."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = contender.build(size)
    if contender.compiled and isinstance(module, Ours):
        module.compile_cell()
    optimiser = torch.optim.AdamW(module.parameters())
    tokens = torch.randint(1, VOCABULARY, (1, size.length))
    resident = _resident("VmRSS")
    step = partial(_step, module, optimiser, tokens)
    # On one sequence the loss soon vanishes, and so do gradients.
    with contender.kernels(), denormals_flushed():
        step()  # gradients and moments exist from here on
        seconds = [seconds_of(step) for _ in range(STEPS)]
        grown = _resident("VmHWM") - resident
        peak = peak_memory(step, torch.device("cpu"))
    return {
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "seconds": statistics.median(seconds),
        "tokens_per_second": size.length / statistics.median(seconds),
        "peak_bytes": peak,
        "resident_bytes": grown,
    }


def _step(module: nn.Module, optimiser: torch.optim.Optimizer, tokens: Tensor) -> None:
    loss = module(tokens)
    if not getattr(module, "backpropagates", False):
        loss.backward()
    optimiser.step()
    optimiser.zero_grad(set_to_none=False)


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def _table(results: dict[str, dict[str, Any]]) -> str:
    found = {name: result for name, result in results.items() if "seconds" in result}
    reference = found.get("RMT as published: eager softmax, BPTT")
    rows = []
    for name, result in results.items():
        if "left_out" in result:
            rows.append((name, result["left_out"][:50], *[""] * 6))
            continue
        ratios = ("", "")
        if reference:
            ratios = (
                f"{reference['seconds'] / result['seconds']:.2f}",
                f"1/{reference['peak_bytes'] / result['peak_bytes']:.1f}",
            )
        rows.append(
            (
                name,
                f"{result['parameters'] / 1e6:.2f} M",
                f"{result['seconds']:.3f}",
                f"{result['tokens_per_second']:,.0f}",
                f"{result['peak_bytes'] / 1e6:.1f}",
                f"{result['resident_bytes'] / 1e6:.0f}",
                *ratios,
            )
        )
    columns = ("model", "parameters", "s/step", "tokens/s", "peak MB", "resident MB", "speed / published RMT", "memory")
    return table(rows, columns)


if __name__ == "__main__":
    main()
